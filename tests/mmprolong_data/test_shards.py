"""Both containers: the same records, the same bytes every time, readable by the field's own readers."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.builds import ENVIRONMENT
from support.samples import make_sample, write_dataset

from mmprolong_data.card_yaml import card_metadata
from mmprolong_data.errors import FormatError
from mmprolong_data.hf import features
from mmprolong_data.index import read_index
from mmprolong_data.parquet_shards import arrow_schema
from mmprolong_data.records import record_of, sample_crc32
from mmprolong_data.shards import EXTENSION, open_writer, read_sample, read_shard

CONTAINERS = ("parquet", "webdataset")
SAMPLES = [make_sample(0), make_sample(1, pages=7), make_sample(2, answer_format="List", answer='["a", "b"]')]


def write(container: str, path: Path) -> Path:
    writer = open_writer(container, path.with_suffix(EXTENSION[container]))
    for sample in SAMPLES:
        writer.add(sample)
    writer.close()
    return path.with_suffix(EXTENSION[container])


@pytest.mark.parametrize("container", CONTAINERS)
def test_samples_come_back_as_they_were(container: str, tmp_path: Path) -> None:
    path = write(container, tmp_path / "shard")
    for before, after in zip(SAMPLES, read_shard(path), strict=True):
        assert record_of(after) == record_of(before)
        assert list(after.images) == list(before.images)
        after.validate()


@pytest.mark.parametrize("container", CONTAINERS)
def test_equal_samples_give_equal_bytes(container: str, tmp_path: Path) -> None:
    first, second = write(container, tmp_path / "a"), write(container, tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("container", CONTAINERS)
def test_info_and_rows_describe_the_file(container: str, tmp_path: Path) -> None:
    path = tmp_path / f"shard{EXTENSION[container]}"
    writer = open_writer(container, path)
    for sample in SAMPLES:
        writer.add(sample)
    assert not path.exists()
    info = writer.close()
    assert info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert info.bytes == path.stat().st_size
    assert [row.key for row in info.rows] == [sample.id for sample in SAMPLES]
    for row, sample in zip(info.rows, SAMPLES, strict=True):
        assert read_sample(path, row).question == sample.question
        assert row.crc32 == sample_crc32(sample)
        held = path.read_bytes()[row.offset : row.offset + row.size]
        assert all(image in held for image in sample.images)
    with pytest.raises(FormatError, match="expected at position"):
        read_sample(path, replace(info.rows[0], key="other"))


def test_a_checksum_is_the_same_in_both_containers_and_notices_every_field() -> None:
    sample = make_sample(0)
    base = sample_crc32(sample)
    changes = {"answer": "x", "question": "y?", "evidence_pages": [1], "meta": "{}", "images": make_sample(1).images}
    for field, value in changes.items():
        assert sample_crc32(replace(sample, **{field: value})) != base, field


@pytest.mark.parametrize("container", CONTAINERS)
def test_abort_leaves_nothing(container: str, tmp_path: Path) -> None:
    writer = open_writer(container, tmp_path / f"shard{EXTENSION[container]}")
    writer.add(SAMPLES[0])
    writer.abort()
    assert list(tmp_path.iterdir()) == []


def test_one_sample_a_row_group_and_pages_not_compressed(tmp_path: Path) -> None:
    metadata = pq.ParquetFile(write("parquet", tmp_path / "shard")).metadata
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [1, 1, 1]
    group = metadata.row_group(0)
    columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    assert columns["images.list.element.bytes"].compression == "UNCOMPRESSED"
    assert columns["answer"].compression == "ZSTD"
    text = [column for path, column in columns.items() if path.startswith("messages") and path.endswith("text")]
    assert [column.compression for column in text] == ["ZSTD"]


def test_columns_are_what_datasets_makes_of_our_features() -> None:
    expected = features().arrow_schema
    assert arrow_schema() == expected
    assert json.loads(arrow_schema().metadata[b"huggingface"]) == json.loads(expected.metadata[b"huggingface"])


@pytest.mark.parametrize("container", CONTAINERS)
def test_damage_is_named_never_a_traceback_of_a_library(container: str, tmp_path: Path) -> None:
    path = write(container, tmp_path / "shard")
    whole = path.read_bytes()
    for cut in (0, 1, 511, 512, 1024, len(whole) // 2, len(whole) - 1024, len(whole) - 512, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(FormatError, match="shard"):
            list(read_shard(path))
    path.unlink()
    with pytest.raises(FormatError, match="missing"):
        list(read_shard(path))


def test_a_tar_cut_at_the_edge_of_a_sample_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "shard.tar"
    writer = open_writer("webdataset", path)
    for sample in SAMPLES:
        writer.add(sample)
    edge = writer.close().rows[1].offset
    path.write_bytes(path.read_bytes()[:edge])
    with pytest.raises(FormatError, match="cut"):
        list(read_shard(path))


def test_webdataset_library_decodes_a_shard(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    path = write("webdataset", tmp_path / "shard")
    rows = list(webdataset.WebDataset(str(path), shardshuffle=False).decode())
    assert [row["__key__"] for row in rows] == [sample.id for sample in SAMPLES]
    for row, sample in zip(rows, SAMPLES, strict=True):
        assert row["json"] == record_of(sample)
        assert [entry["bytes"] for entry in row["images.mp"]] == list(sample.images)


STOCK = """
import sys
from datasets import load_dataset
for streaming in (False, True):
    rows = list(load_dataset("mmprolong", "extract_multi", split="train", streaming=streaming))
    assert len(rows) == 5
    row = rows[0]
    if sys.argv[1] == "webdataset":
        assert set(row) >= {"json", "images.mp"}
        pages, row = row["images.mp"], row["json"]
    else:
        pages = row["images"]
    assert [page.size for page in pages] == [(84, 112)] * 3
    assert row["messages"][0]["content"][0] == {"type": "text", "text": "Page 1:"}
    assert row["messages"][0]["content"][1] == {"type": "image", "text": None}
    assert row["segment"] == {"start": 0, "end": 3} and row["evidence_pages"] == [0]
    print(row["id"])
assert not any(name.startswith("mmprolong") for name in sys.modules)
"""


@pytest.mark.parametrize("container", CONTAINERS)
def test_stock_datasets_reads_a_dataset_without_our_package(container: str, tmp_path: Path) -> None:
    manifest = write_dataset(tmp_path / "mmprolong", container)
    card = f"---\n{card_metadata(manifest)}---\n\n# A dataset\n"
    (tmp_path / "mmprolong" / "README.md").write_text(card, encoding="utf-8")
    environment = ENVIRONMENT | {"HF_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", STOCK, container],
        capture_output=True, text=True, cwd=tmp_path, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [make_sample(0, "extract_multi").id] * 2


def test_the_two_containers_hold_equal_records(tmp_path: Path) -> None:
    roots = {}
    for container in CONTAINERS:
        roots[container] = tmp_path / container
        write_dataset(roots[container], container)
    for name in ("extract_multi-train", "extract_single-validation"):
        tables = [read_index(roots[container] / "index" / f"{name}.parquet") for container in CONTAINERS]
        for left, right in zip(*tables, strict=True):
            assert (left.key, left.crc32, left.pages, left.tokens) == (
                right.key,
                right.crc32,
                right.pages,
                right.tokens,
            )
