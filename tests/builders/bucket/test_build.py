"""Builds into a bucket: the bytes of a build into a folder, from any division and after any interruption."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from support.buckets import BUCKET, SLICED, Call, prefix
from support.builds import command, content
from support.s3 import KEYS, S3, proxy


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_the_bytes_of_a_build_into_a_folder(
    s3: S3, url: str, pdfs: Path, whole: dict[str, str], call: Call, tmp_path: Path
) -> None:
    said = call("build", pdfs, "--out", url, *SLICED)
    assert f"Dataset: {url}" in said
    assert s3.content(BUCKET, prefix(url)) == whole
    keys = s3.keys(BUCKET, prefix(url))
    assert not [key for key in keys if "/pack/" in key and key.endswith(".parquet")]  # they are where they belong
    for key in keys:
        assert not [secret for secret in KEYS.values() if secret.encode() in s3.get(BUCKET, key)], key
    assert files_in(tmp_path / "tmp") == ["lock"]  # nothing is left on this machine
    assert "nothing had to be built" in call("build", pdfs, "--out", url, *SLICED)
    gone = next(key for key in keys if "/data/ocr_full/" in key)
    s3.client.delete_object(Bucket=BUCKET, Key=gone)
    said = call("build", pdfs, "--out", url, *SLICED)
    assert "a shard is missing or damaged; it is made again" in said
    assert s3.content(BUCKET, prefix(url)) == whole


def test_parts_share_nothing_but_the_bucket_which_goes_away(
    s3: S3, url: str, pdfs: Path, whole: dict[str, str], call: Call, tmp_path: Path
) -> None:
    """Each part is a machine of its own; an outage ends one of them, which goes on later."""

    def part(name: str, **more: Any) -> str:
        scratch = tmp_path / f"node{name[0]}"
        return call("build", pdfs, "--out", url, *SLICED, "--part", name, "--scratch", scratch, **more)

    assert "no build was begun" in call("build", "--finish", "--out", url, code=1)
    assert "2 slices made" in part("0/2")
    assert not [name for name in files_in(tmp_path / "node0") if name.endswith((".index", ".msgpack"))]
    with proxy(s3.url) as between:
        between.refuse = True
        said = part("1/2", env={"AWS_ENDPOINT_URL_S3": between.url}, code=1)
    assert "could not be written or read in 6 tries" in said
    assert "run the same command again" in said
    assert "Traceback" not in said
    assert f"{url}: 1 of 3 slices are missing: 1" in call("build", "--finish", "--out", url, code=1)
    assert prefix(url) + "manifest.json" not in s3.keys(BUCKET)
    call("build", "--finish", "--incomplete", "--out", url, code=3)
    manifest = json.loads(s3.get(BUCKET, prefix(url) + "manifest.json"))
    assert manifest["documents"]["left_out"]["slice_error"] == 1
    refused = call("build", pdfs, "--out", url, *SLICED, "--part", "0/2", "--set", "render.dpi=120", code=1)
    assert f"{url} was begun with other settings" in refused
    assert "render.dpi: 144 -> 120" in refused
    part("1/2")
    assert json.loads(call("status", url, "--json"))["stages"]["pack"]["slices"] == 3
    call("build", "--finish", "--out", url, "--scratch", tmp_path / "third")
    assert s3.content(BUCKET, prefix(url)) == whole


def test_parts_that_start_at_once_in_an_empty_bucket(
    s3: S3, url: str, pdfs: Path, whole: dict[str, str], call: Call, tmp_path: Path
) -> None:
    """Each on a machine of its own; divisions that overlap, so that slices may be made twice."""
    parts = [("0/1", "here"), ("0/2", "there")]
    processes = [
        subprocess.Popen(
            command("build", pdfs, "--out", url, *SLICED, "--part", part, "--scratch", tmp_path / machine),
            env=s3.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )
        for part, machine in parts
    ]  # fmt: skip
    for process in processes:
        _, text = process.communicate(timeout=300)
        assert process.returncode == 0, text
    call("build", "--finish", "--out", url)
    assert s3.content(BUCKET, prefix(url)) == whole


def test_a_slice_that_fails_for_good(
    s3: S3, url: str, pdfs: Path, whole: dict[str, str], call: Call, tmp_path: Path
) -> None:
    """Its record is in the bucket: any machine can tell of it, or mend it."""
    arguments = ("build", pdfs, "--out", url, *SLICED, "--scratch", tmp_path / "scratch")
    call(*arguments, "--part", "3/4")  # makes the plan, builds nothing
    [plan] = [key for key in s3.keys(BUCKET, prefix(url)) if key.endswith("/plan.parquet")]
    cells = next((tmp_path / "scratch").glob(f"**/{plan.split('/')[-2]}"))
    (cells / "qa" / "00001.msgpack" / "in the way").mkdir(parents=True)
    said = call(*arguments, code=3)
    assert "slice 1: IsADirectoryError" in said
    status = json.loads(call("status", url, "--json", code=3))
    assert list(status["failed"]) == ["1"]
    assert status["published"]
    assert str(tmp_path) not in status["failed"]["1"]
    call("build", pdfs, "--out", url, *SLICED, "--scratch", tmp_path / "another")
    assert s3.content(BUCKET, prefix(url)) == whole
    assert json.loads(call("status", url, "--json"))["failed"] == {}


def test_both_containers_and_what_lies_beside_is_left_alone(
    s3: S3, url: str, pdfs: Path, local: Path, call: Call
) -> None:
    arguments = ("build", pdfs, "--out", url, *SLICED, "--format", "both")
    foreign = prefix(url).rstrip("/") + "-wds/data/ocr_full/mine.tar"
    s3.put(BUCKET, foreign, b"not ours")
    assert f"{url}-wds is not empty" in call(*arguments, code=1)
    s3.client.delete_object(Bucket=BUCKET, Key=foreign)
    assert f"Dataset: {url}-wds" in call(*arguments)
    for suffix in ("", "-wds"):
        there = s3.content(BUCKET, prefix(url).rstrip("/") + f"{suffix}/")
        assert there == content(local.with_name(local.name + suffix))
