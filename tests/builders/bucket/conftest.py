"""What the tests of builds in a bucket share: a corpus, the build that is the reference, a server, calls of builds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest
from mmprolong_builders.bucket import objects
from support.buckets import BUCKET, SLICED, Call
from support.builds import content, run
from support.documents import write_corpus
from support.s3 import S3, serve_s3

from mmprolong_data.cli import main
from mmprolong_data.remote import Retries


@pytest.fixture(scope="package")
def pdfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three reports and a file that is none."""
    folder = write_corpus(tmp_path_factory.mktemp("pdfs"), 3, pages=8)
    (folder / "page.pdf").write_text("<html></html>")
    return folder


@pytest.fixture(scope="package")
def local(pdfs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build into a folder, with a second one beside it: the reference."""
    out = tmp_path_factory.mktemp("local") / "set"
    run("build", pdfs, "--out", out, *SLICED, "--format", "both")
    return out


@pytest.fixture(scope="package")
def whole(local: Path) -> dict[str, str]:
    """What the reference consists of."""
    return content(local)


@pytest.fixture(scope="package")
def s3() -> Iterator[S3]:
    """A server with an empty bucket."""
    with serve_s3() as server:
        server.client.create_bucket(Bucket=BUCKET)
        yield server


@pytest.fixture
def url(s3: S3, request: pytest.FixtureRequest) -> str:
    """A place in the bucket for one test."""
    return f"s3://{BUCKET}/{request.node.name.partition('[')[0].replace('_', '-')[:40]}/set"


@pytest.fixture
def call(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """See ``Call``; temporary files lie in a folder of the test."""
    monkeypatch.setattr(objects, "Retries", partial(Retries, backoff=0.001))
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", None)

    def calling(*arguments: str | Path, env: Mapping[str, str] | None = None, code: int = 0) -> str:
        for name, value in (s3.environment | dict(env or {})).items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        try:
            ended = main([*map(str, arguments)])
        except SystemExit as stop:  # argparse
            ended = int(str(stop.code))
        said = "".join(capsys.readouterr())
        assert ended == code, said
        assert not any(secret in said for secret in ("not-a-real-secret", "not-a-real-key-id"))
        return said

    return calling
