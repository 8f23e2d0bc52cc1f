"""Builds into a bucket: the bytes of a build into a folder, from any division and after any interruption."""

from __future__ import annotations

import json
from pathlib import Path

from support.s3 import KEYS, S3

from .conftest import BUCKET, SLICED, Call, prefix


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_the_bytes_of_a_build_into_a_folder(
    s3: S3, url: str, pdfs: Path, whole: dict[str, str], call: Call, tmp_path: Path
) -> None:
    said = call("build", pdfs, "--out", url, *SLICED)
    assert f"Dataset: {url}" in said
    assert s3.content(BUCKET, prefix(url)) == whole
    keys = s3.keys(BUCKET, prefix(url))
    assert not [key for key in keys if ".work" in key and key.endswith((".parquet", ".tar")) and "/pack/" in key]
    for key in keys:
        assert not [secret for secret in KEYS.values() if secret.encode() in s3.get(BUCKET, key)], key
    assert files_in(tmp_path / "tmp") == ["lock"]  # nothing is left on this machine
    again = call("build", pdfs, "--out", url, *SLICED)
    assert "nothing had to be built" in again
    assert s3.content(BUCKET, prefix(url)) == whole


def test_parts_in_any_order_share_nothing_but_the_bucket(
    s3: S3, url: str, pdfs: Path, whole: dict[str, str], call: Call, tmp_path: Path
) -> None:
    for part in ("1/2", "0/2"):
        said = call("build", pdfs, "--out", url, *SLICED, "--part", part, "--scratch", tmp_path / f"node{part[0]}")
        assert "2 slices made" in said
        assert prefix(url) + "manifest.json" not in s3.keys(BUCKET)
    assert not [name for name in files_in(tmp_path / "node0") if name.endswith((".index", ".msgpack"))]
    refused = call("build", pdfs, "--out", url, *SLICED, "--part", "0/2", "--set", "render.dpi=120", code=1)
    assert f"{url} was begun with other settings" in refused
    assert "render.dpi: 144 -> 120" in refused
    call("build", "--finish", "--out", url, "--scratch", tmp_path / "third")
    assert s3.content(BUCKET, prefix(url)) == whole


def test_finish_names_what_is_missing_or_goes_without(
    s3: S3, url: str, pdfs: Path, whole: dict[str, str], call: Call
) -> None:
    assert "no build was begun" in call("build", "--finish", "--out", url, code=1)
    call("build", pdfs, "--out", url, *SLICED, "--part", "0/2")
    said = call("build", "--finish", "--out", url, code=1)
    assert f"{url}: 2 of 4 slices are missing: 1, 3" in said
    call("build", "--finish", "--incomplete", "--out", url, code=3)
    manifest = json.loads(s3.get(BUCKET, prefix(url) + "manifest.json"))
    assert manifest["documents"]["left_out"]["slice_error"] == 2
    call("build", pdfs, "--out", url, *SLICED, "--part", "1/2")
    call("build", "--finish", "--out", url)
    assert s3.content(BUCKET, prefix(url)) == whole
