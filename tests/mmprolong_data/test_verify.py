"""Verification finds every change, and no damage makes it stumble."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.samples import make_sample, write_dataset

from mmprolong_data.errors import FormatError
from mmprolong_data.manifest import read_manifest
from mmprolong_data.verify import verify_dataset


@pytest.fixture(params=["parquet", "webdataset"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    write_dataset(tmp_path / "data set", request.param)
    return tmp_path / "data set"


def shard(root: Path) -> Path:
    return sorted(root.glob("data/extract_multi/train-00000*"))[0]


def edit(root: Path, change: Any) -> None:
    value = json.loads((root / "manifest.json").read_bytes())
    change(value)
    (root / "manifest.json").write_text(json.dumps(value))


def test_a_whole_dataset_has_no_problems(root: Path) -> None:
    seen: list[tuple[int, int]] = []
    assert verify_dataset(root, lambda done, total: seen.append((done, total))) == []
    assert seen[-1][0] == seen[-1][1] > 0


def test_every_flipped_byte_is_found(root: Path) -> None:
    path = shard(root)
    whole = path.read_bytes()
    for position in range(0, len(whole), len(whole) // 23):
        data = bytearray(whole)
        data[position] ^= 0x40
        path.write_bytes(data)
        problems = verify_dataset(root)
        assert any(path.name in problem for problem in problems), position


def test_missing_extra_and_cut_files_are_named(root: Path) -> None:
    path = shard(root)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert any(path.name in problem for problem in verify_dataset(root))
    path.unlink()
    assert any(problem.endswith("missing") and path.name in problem for problem in verify_dataset(root))
    path.write_bytes(whole)
    (path.parent / "train-00009-of-00010.parquet").write_bytes(b"x")
    assert verify_dataset(root) == ["data/extract_multi/train-00009-of-00010.parquet: not in the manifest"]


def test_a_changed_index_row_is_found_even_with_a_right_hash(root: Path) -> None:
    import hashlib

    path = root / "index" / "extract_multi-train.parquet"
    table = pq.read_table(path)
    for column, value in (("crc32", 7), ("offset", 3), ("tokens", 1), ("key", "x")):
        rows = table.to_pylist()
        rows[1][column] = value
        pq.write_table(table.from_pylist(rows, schema=table.schema), path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        edit(root, lambda value, digest=digest: value["indexes"].update({"index/extract_multi-train.parquet": digest}))
        assert any("index differs" in problem for problem in verify_dataset(root)), column


def test_counts_that_do_not_add_up_are_found(root: Path) -> None:
    edit(root, lambda value: value["documents"].update(found=99))
    edit(root, lambda value: value["samples"]["extract_multi"].update(train=4))
    problems = verify_dataset(root)
    assert any("found 99" in problem for problem in problems)
    assert any("samples" in problem for problem in problems)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"format_version": true}', b"\xff\xfe", b'{"format_version": 1}', b"[" * 9999],
)
def test_a_damaged_manifest_is_an_error_with_its_name(root: Path, content: bytes) -> None:
    (root / "manifest.json").write_bytes(content)
    with pytest.raises(FormatError, match=r"manifest\.json"):
        verify_dataset(root)


def test_a_newer_format_is_refused_with_the_remedy(root: Path) -> None:
    edit(root, lambda value: value.update(format_version=2))
    with pytest.raises(FormatError, match=r"newer than 1.*pip install --upgrade"):
        read_manifest(root)


@pytest.mark.parametrize("name", ["/etc/passwd", "data/../../x", "../data/x", "index/x", "data", "data\\x", "data/a b"])
def test_paths_of_a_manifest_are_not_trusted(root: Path, name: str) -> None:
    edit(root, lambda value: value["shards"][0].update(name=name))
    with pytest.raises(FormatError, match="path"):
        read_manifest(root)


def test_no_dataset_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no dataset here"):
        verify_dataset(tmp_path)
    with pytest.raises(FormatError, match="no dataset here"):
        verify_dataset(tmp_path / "absent")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("id", "with.dot", "dots"),
        ("doc_id", "abc", "SHA-256"),
        ("config", "ocr", "none of"),
        ("num_pages", 4, "images"),
        ("answer", " ", "empty"),
        ("answer_format", "Integer", "Integer"),
        ("evidence_pages", [5], "evidence_pages"),
        ("evidence_pages", [1, 0], "ascending"),
        ("segment", (1, 3), "outside the segment"),
        ("segment", (2, 2), "no range"),
        ("evidence_sources", ["Video"], "subset"),
        ("meta", "[]", "JSON object"),
        ("verification", "{", "not JSON"),
    ],
)
def test_a_sample_that_breaks_the_contract_is_refused(field: str, value: Any, words: str) -> None:
    make_sample().validate()
    with pytest.raises(FormatError, match=words):
        make_sample(**{field: value}).validate()
