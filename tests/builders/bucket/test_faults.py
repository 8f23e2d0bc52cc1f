"""What can go wrong between a machine and a bucket: it is tried again, told in one line, and nothing is lost by it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from support.buckets import BUCKET, SLICED, Call, prefix
from support.builds import command, run, until
from support.s3 import KEYS, S3, proxy, without_driver


def through(url: str) -> dict[str, str]:
    return {"AWS_ENDPOINT_URL_S3": url}


def test_cut_connections_and_damaged_uploads(s3: S3, url: str, pdfs: Path, whole: dict[str, str], call: Call) -> None:
    with proxy(s3.url) as between:
        between.share, between.damage = 0.2, 3
        call("build", pdfs, "--out", url, *SLICED, env=through(between.url))
        assert between.cut >= 10
        assert between.damage == 0
    assert s3.content(BUCKET, prefix(url)) == whole


MOMENTS = ("/pack/00001/ocr_full.parquet ", "/data/", "/set/README.md ")
"""In the path of an upload: in the middle of a slice, while shards are moved, before the manifest."""


def test_killed_at_any_point(s3: S3, url: str, pdfs: Path, whole: dict[str, str], call: Call, tmp_path: Path) -> None:
    """Each run finds what the last kill has left, on a machine of its own or on the same one."""
    for number, moment in enumerate(MOMENTS):
        scratch = tmp_path / f"scratch{number // 2}"
        arguments = ("build", pdfs, "--out", url, *SLICED, "--scratch", scratch)
        with proxy(s3.url) as between:
            between.hold = moment
            process = subprocess.Popen(
                command(*arguments), env=s3.environment | through(between.url), stdout=subprocess.DEVNULL
            )
            try:
                until(lambda: between.held.is_set() or process.poll() is not None)  # noqa: B023
                os.kill(process.pid, signal.SIGKILL)
            finally:
                process.kill()
                process.wait()
            assert between.held.is_set()
        there = s3.keys(BUCKET, prefix(url))
        assert prefix(url) + "manifest.json" not in there
        if number == 0:
            assert not [key for key in there if key.endswith(("pack/00001/ocr_full.parquet", "pack/00001.json"))]
            assert "Begun, not complete:" in call("status", url)
    [sidecar] = [key for key in there if key.endswith("/pack/00000.json")]
    s3.put(BUCKET, sidecar, b'{"shards": {"parquet/ocr_full": {"name": "../../evil"}}')
    s3.put(BUCKET, prefix(url) + ".work/probes/of-a-process-that-was-killed", b"")
    call(*arguments)
    assert not s3.keys(BUCKET, prefix(url) + ".work/probes")
    assert s3.content(BUCKET, prefix(url)) == whole


def test_a_bucket_that_cannot_be_used_is_said_in_one_line(s3: S3, url: str, pdfs: Path, call: Call) -> None:
    for mode in ((), ("--part", "0/2"), ("--dry-run",), ("--finish",)):
        said = call("build", pdfs, "--out", "s3://no-such-bucket/set", *SLICED, *mode, code=1)
        assert said.count("\n") == 1, said
        assert "there is no such bucket" in said or "no build was begun" in said
    with proxy(s3.url) as between:
        between.deny = ("PUT",)
        said = call("build", pdfs, "--out", url, *SLICED, env=through(between.url), code=1)
        assert said.count("\n") == 1, said
        assert "access is refused" in said
        assert "credentials in the environment" in said
        assert not [line for line in between.requests if line.startswith("PUT") and "/probes/" not in line]
        between.deny = ("GET", "HEAD", "PUT")
        said = call("status", url, env=through(between.url), code=1)
        assert "access is refused" in said


def test_without_the_package_and_without_credentials(s3: S3, url: str, pdfs: Path, tmp_path: Path) -> None:
    arguments = ("build", pdfs, "--out", url, *SLICED)
    missing = run(*arguments, code=1, env=without_driver(s3.environment, tmp_path, "s3fs"))
    assert 'pip install "mmprolong[s3]"' in missing.stderr
    nobody = {name: value for name, value in s3.environment.items() if name not in KEYS}
    refused = run(*arguments, code=1, env=nobody | {"HOME": str(tmp_path)}).stderr
    assert "no credentials were found" in refused
    assert refused.count("\n") == 1
    assert not s3.keys(BUCKET, prefix(url))


def test_what_is_there_and_is_no_build_of_ours(s3: S3, url: str, pdfs: Path, call: Call) -> None:
    s3.put(BUCKET, prefix(url) + "somebody.txt", b"else's")
    said = call("build", pdfs, "--out", url, *SLICED, code=1)
    assert f"{url} is not empty and was not made by" in said
    assert "no build was begun here" in call("status", url, code=1)


def test_a_record_that_names_other_files_is_refused(s3: S3, url: str, pdfs: Path, call: Call, tmp_path: Path) -> None:
    """Who can write to the bucket must not be able to write anywhere on the machines that build."""
    record = {"format": 1, "files": {"../../../evil": "0" * 64}}
    s3.put(BUCKET, prefix(url) + ".work/begun.json", json.dumps(record).encode())
    said = call("build", pdfs, "--out", url, *SLICED, "--part", "0/2", code=1)
    assert "names other files" in said
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("hf://datasets/org/name", "mmprolong push"),
        ("https://example.org/set", "cannot be written"),
        ("memory://set", "cannot be written"),
        ("s3://bucket", "a folder in it"),
        ("s3://bucket/a/../b", "a folder in it"),
        ("s3://key:hushhush@bucket/set", "credentials in the environment"),
        ("s3://bucket/set?versionId=hushhush", "credentials in the environment"),
    ],
)
def test_urls_that_cannot_hold_a_dataset(url: str, message: str, pdfs: Path, call: Call) -> None:
    said = call("build", pdfs, "--out", url, *SLICED, code=2)
    assert message in said
    assert "hushhush" not in said


def test_arguments_that_do_not_go_together(url: str, pdfs: Path, call: Call, tmp_path: Path) -> None:
    said = call("build", pdfs, "--out", tmp_path / "new", "--scratch", tmp_path / "scratch", code=2)
    assert "--scratch goes with --out URL only" in said
    said = call("build", pdfs, "--out", url, "--set", "qa.generator=openai", "--set", "qa.model=m", code=2)
    assert "needs a folder that outlives the machine" in said
