"""Datasets in a bucket: read where they are, or copied to a folder."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
from support.buckets import BUCKET, Call
from support.builds import content
from support.s3 import S3

from mmprolong_data.loader import PageStream


@pytest.fixture(scope="module")
def built(s3: S3, local: Path) -> tuple[str, Path]:
    """A dataset in the bucket, and the same in a folder."""
    for name in ("set", "set-wds"):
        for path in local.with_name(name).rglob("*"):
            if path.is_file() and ".work" not in path.parts:
                key = f"reading/{name}/{path.relative_to(local.with_name(name)).as_posix()}"
                s3.put(BUCKET, key, path.read_bytes())
    return f"s3://{BUCKET}/reading/set", local


@pytest.mark.usefixtures("call")
def test_the_loader_and_load_dataset_read_it_where_it_is(
    built: tuple[str, Path], s3: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import datasets

    url, folder = built
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    packs = [list(islice(PageStream(root, ["extract_single"], pixels="jpeg"), 2)) for root in (url, folder)]
    for one, other in zip(*packs, strict=True):
        assert [sample.record for sample in one.samples] == [sample.record for sample in other.samples]
        assert [list(map(bytes, sample.pages)) for sample in one.samples] == [
            list(map(bytes, sample.pages)) for sample in other.samples
        ]
    monkeypatch.chdir(tmp_path)
    for streaming in (False, True):
        rows = datasets.load_dataset(
            "mmprolong", "extract_single", data_dir=url, split="train", streaming=streaming,
            cache_dir=str(tmp_path / "cache"),
        )  # fmt: skip
        assert next(iter(rows))["id"]


def test_pull(built: tuple[str, Path], s3: S3, call: Call, tmp_path: Path) -> None:
    url, folder = built
    for suffix in ("", "-wds"):
        target = tmp_path / f"pulled{suffix}"
        call("pull", url + suffix, target)
        assert content(target) == content(folder.with_name(folder.name + suffix))
        call("verify", target)
    shard = next(target.glob("data/*/*"))
    shard.write_bytes(b"damaged")
    (target / "data" / "ocr_full" / "train-00000-of-00099.tar").write_bytes(b"of an older version")
    assert "1 shards and indexes fetched" in call("pull", f"{url}-wds", target)
    call("verify", target)


def test_what_cannot_be_pulled(built: tuple[str, Path], s3: S3, call: Call, tmp_path: Path) -> None:
    assert "no dataset" in call("pull", f"s3://{BUCKET}/nothing/here", tmp_path / "new", code=1)
    assert "must be a URL" in call("pull", tmp_path, tmp_path / "new", code=2)
    assert "the folder of a build" in call("pull", built[0], built[1], code=1)
    (tmp_path / "mine" / "data" / "own").mkdir(parents=True)
    (tmp_path / "mine" / "data" / "own" / "file").touch()
    assert "not empty and holds no dataset" in call("pull", built[0], tmp_path / "mine", code=1)
    assert (tmp_path / "mine" / "data" / "own" / "file").exists()
    damaged = next(key for key in s3.keys(BUCKET, "reading/set-wds/data/"))
    s3.put(BUCKET, damaged, b"other bytes")
    said = call("pull", f"{built[0]}-wds", tmp_path / "new", code=1)
    assert "the bytes that came have another hash" in said
    assert not (tmp_path / "new" / "manifest.json").exists()
    assert not list((tmp_path / "new").rglob("*.tmp"))
    call("pull", built[0], tmp_path / "new")  # goes on there, whatever was begun
    call("verify", tmp_path / "new")
