"""Conversion both ways loses nothing, goes on after a kill, and refuses what it cannot do."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from mmprolong_builders.publishing.convert import convert
from support.builds import interrupt_when, run
from support.published import folder_files, write_published
from support.samples import make_sample

from mmprolong_data.errors import FormatError, MMProLongError
from mmprolong_data.manifest import read_manifest
from mmprolong_data.shards import read_shard
from mmprolong_data.verify import verify_dataset


def data(root: Path) -> dict[str, str]:
    """Shards, indexes and manifest."""
    return {k: v for k, v in folder_files(root).items() if k.startswith(("data/", "index/", "manifest"))}


@pytest.mark.parametrize(("first", "second"), [("parquet", "webdataset"), ("webdataset", "parquet")])
def test_there_and_back_gives_the_same_bytes_and_equals_what_was_built(tmp_path: Path, first: str, second: str) -> None:
    write_published(tmp_path / "a", container=first)
    write_published(tmp_path / "built", container=second)
    manifest, complete = convert(tmp_path / "a", tmp_path / "b", second)
    assert manifest.container == second
    assert not complete
    assert verify_dataset(tmp_path / "b") == []
    assert data(tmp_path / "b") == data(tmp_path / "built")
    convert(tmp_path / "b", tmp_path / "c", first)
    assert data(tmp_path / "c") == data(tmp_path / "a")
    shard = next((tmp_path / "b").glob("data/extract_single/train-00000*"))
    sample = next(iter(read_shard(shard)))
    assert list(sample.images) == list(make_sample(0).images)
    assert ("webdataset msgpack" in (tmp_path / "b" / "README.md").read_text()) == (second == "webdataset")


def test_a_killed_conversion_goes_on_without_doing_anything_twice(tmp_path: Path) -> None:
    root, out = tmp_path / "a", tmp_path / "b"
    write_published(root, range(60), per_shard=1)
    code, _ = interrupt_when(
        lambda: (out / ".convert" / "data" / "extract_single").is_dir(),
        "convert", root, out, "--format", "webdataset", with_signal=signal.SIGKILL,
    )  # fmt: skip
    made = {path: path.stat().st_ino for path in out.glob("data/*/*.tar")}
    sidecars = len(list(out.glob(".convert/data/*/*.json")))
    run("convert", root, out, "--format", "webdataset")
    assert verify_dataset(out) == []
    assert sum(path.stat().st_ino == made.get(path) for path in out.glob("data/*/*.tar")) >= sidecars
    assert not list(out.rglob("*.tmp"))
    if code == 0:
        pytest.skip("the conversion was over before it could be killed")
    assert sidecars < 120
    assert "everything was there already" in run("convert", root, out, "--format", "webdataset").stdout


def test_what_cannot_be_converted_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "a"
    write_published(root)
    with pytest.raises(MMProLongError, match="is parquet already"):
        convert(root, tmp_path / "b", "parquet")
    with pytest.raises(MMProLongError, match="is the dataset itself"):
        convert(root, root, "webdataset")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(MMProLongError, match="is not empty"):
        convert(root, tmp_path / "full", "webdataset")
    convert(root, tmp_path / "b", "webdataset")
    write_published(tmp_path / "other", range(3))
    with pytest.raises(MMProLongError, match="was begun from another dataset"):
        convert(tmp_path / "other", tmp_path / "b", "webdataset")


@pytest.mark.parametrize("container", ["parquet", "webdataset"])
def test_a_damaged_page_is_never_passed_on(tmp_path: Path, container: str) -> None:
    root = tmp_path / "a"
    write_published(root, container=container)
    shard = root / read_manifest(root).shards[0]["name"]
    content = bytearray(shard.read_bytes())
    content[content.index(make_sample(0).images[1]) + 200] ^= 1
    shard.write_bytes(content)
    with pytest.raises(FormatError, match=make_sample(0).id):
        convert(root, tmp_path / "b", "webdataset" if container == "parquet" else "parquet")
    assert not (tmp_path / "b" / "manifest.json").exists()
