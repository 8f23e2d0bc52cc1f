"""Objects: what is written is what was sent, whoever is first, and memory does not grow with the file."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mmprolong_builders.bucket import objects as module
from mmprolong_builders.bucket.objects import PART, Objects
from mmprolong_builders.bucket.state import BucketState
from mmprolong_builders.workspace import Workspace
from support.buckets import BUCKET
from support.s3 import S3, proxy

from mmprolong_data.errors import MMProLongError
from mmprolong_data.remote import Retries


@pytest.fixture(autouse=True)
def _environment(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file that takes several parts, each with other bytes."""
    path = tmp_path / "large"
    path.write_bytes(b"".join(bytes([n]) * PART for n in range(2)) + b"the end")
    return path


def test_large_files_go_in_parts_and_are_checked(
    s3: S3, url: str, large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxy(s3.url) as between:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", between.url)
        objects = Objects(url, Retries(backoff=0.001))
        objects.put(large, "large", hashlib.sha256(large.read_bytes()).hexdigest())
        assert [line for line in between.requests if "uploadId" in line and line.startswith("PUT")]
        # The store told the hash of the parts: nothing was read back.
        assert not [line for line in between.requests if line.startswith("GET")]
        fetched = tmp_path / "fetched"
        objects.fetch("large", fetched)
        assert fetched.read_bytes() == large.read_bytes()
        with pytest.raises(MMProLongError, match="changed since it was made"):
            objects.put(large, "large", "0" * 64)


def test_memory_does_not_grow_with_the_file(url: str, tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as stream:
        stream.truncate(16 * PART)
    code = f"""
import resource
from pathlib import Path
from mmprolong_builders.bucket.objects import Objects
objects = Objects({url!r})
objects.write("small", b"1")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
objects.put(Path({str(path)!r}), "sparse")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""
    grown = int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
    assert grown < 11 * PART, f"{grown / PART:.1f} parts"


def test_an_upload_ends_when_the_build_is_stopped(s3: S3, url: str, large: Path) -> None:
    objects = Objects(url)
    objects.check("set")
    objects.close()
    with pytest.raises(MMProLongError, match="stopped"):
        objects.put(large, "large")
    assert not s3.keys(BUCKET, url.removeprefix(f"s3://{BUCKET}/"))
    assert not s3.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads")


def test_a_server_that_does_not_answer_does_not_keep_a_build_from_stopping(
    s3: S3, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GRACE", 0.1)
    (tmp_path / "file").write_bytes(b"content")
    with proxy(s3.url) as between:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", between.url)
        between.hold = "/file "
        objects = Objects(url)
        with ThreadPoolExecutor() as executor:
            upload = executor.submit(objects.put, tmp_path / "file", "file")
            assert between.held.wait(60)
            objects.close()
            with pytest.raises(MMProLongError, match="stopped"):
                upload.result(timeout=60)


def test_the_first_writer_wins(url: str) -> None:
    one, other = Objects(url), Objects(url)
    assert one.create("begun.json", b"one") == b"one"
    assert other.create("begun.json", b"other") == b"one"
    assert other.read("nothing") is None


def test_a_store_without_conditional_writes(s3: S3, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with proxy(s3.url) as between:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", between.url)
        between.unconditional = True
        assert Objects(url).create("begun.json", b"one") == b"one"
        assert Objects(url).create("begun.json", b"other") == b"one"


def workspace(folder: Path, plan: bytes) -> Workspace:
    """What a machine would have made before it begins a build."""
    made = Workspace(folder / "set", "0" * 64)
    for path, content in ((made.build_file, b"{}"), (made.fates, b"fates"), (made.plan_file, plan)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return made


def test_what_is_complete_in_the_bucket_is_not_kept_here(url: str, tmp_path: Path) -> None:
    """Whatever a kill has left of it; what belongs to another slice stays."""
    state = BucketState(url)
    own = state.begin(workspace(tmp_path, b"plan"))
    state.objects.write(state.key("pack", "00001.json"), b"{}")
    for name in ("parse/00001.msgpack.tmp", "parse/00001.json", "qa/00001.msgpack", "pack/00001/x.parquet.tmp"):
        for path in (own.cells / name, own.cells / name.replace("00001", "00002")):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    state.tidy(own, state.list())
    left = {path.relative_to(own.cells).as_posix() for path in own.cells.glob("*/*")}
    assert left == {"parse/00002.msgpack.tmp", "parse/00002.json", "qa/00002.msgpack", "pack/00002"}


def test_two_machines_that_begin_at_once_go_on_with_one_plan(url: str, tmp_path: Path) -> None:
    """Also where their plans differ: the first one counts, and nothing of the second one is taken for a part of it."""
    states = [BucketState(url), BucketState(url)]
    spaces = [workspace(tmp_path / name, name.encode()) for name in ("one", "two")]
    assert [state.pull(space) for state, space in zip(states, spaces, strict=True)] == [None, None]
    own = [state.begin(space) for state, space in zip(states, spaces, strict=True)]
    assert [space.plan_file.read_bytes() for space in own] == [b"one", b"one"]
    assert states[0].folder == states[1].folder
