"""Builds from corpora behind URLs: the same bytes as from a folder, whatever the network does, and no secret told."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol

import pyarrow.parquet as pq
import pytest
from mmprolong_builders import fetch
from support.builds import SHORT, content, run
from support.documents import write_corpus, write_report
from support.http_server import serve
from support.s3 import KEYS, S3, proxy, serve_s3, without_driver

from mmprolong_data.cli import main
from mmprolong_data.remote import Retries

SLICES = (*SHORT, "--set", "pack.documents_per_slice=2")


@pytest.fixture(scope="module")
def pdfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_corpus(tmp_path_factory.mktemp("pdfs"), count=5, pages=10)
    (folder / "sub").mkdir()
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 nothing more")
    (folder / "sub" / "empty.PDF").touch()
    (folder / "sub" / "copy.pdf").write_bytes((folder / "report-0.pdf").read_bytes())
    return folder


@pytest.fixture(scope="module")
def s3(pdfs: Path) -> Iterator[S3]:
    with serve_s3() as server:
        server.put_folder("corpus", "pdfs/", pdfs)
        yield server


@pytest.fixture(scope="module")
def whole(pdfs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a build from the folder gives."""
    out = tmp_path_factory.mktemp("whole")
    run("build", pdfs, "--out", out, *SLICES)
    return content(out)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place for temporary files, in which no fetched file may be left."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    yield folder
    assert list(folder.glob("*mmprolong-fetched*")) == []


class Call(Protocol):
    """A build in this process, which tries again at once. Returns all that it says."""

    def __call__(self, *arguments: str | Path, env: Mapping[str, str] | None = None, code: int = 0) -> str: ...


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], temporary: Path) -> Call:
    monkeypatch.setattr(fetch, "Retries", partial(Retries, backoff=0.001))

    def call(*arguments: str | Path, env: Mapping[str, str] | None = None, code: int = 0) -> str:
        for name, value in (env or {}).items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        ended = main(["build", *map(str, arguments)])
        said = "".join(capsys.readouterr())
        assert ended == code, said
        return said

    return call


def reasons(out: Path) -> dict[str, int]:
    counts: dict[str, int] = json.loads((out / "manifest.json").read_bytes())["documents"]["left_out"]
    return {reason: count for reason, count in counts.items() if count}


def assert_hidden(secret: str, out: Path, *texts: str) -> None:
    """No file of a build (unpacked where it is a table) and no text holds a secret."""
    assert not any(secret in text for text in texts)
    for path in out.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path
            if path.suffix == ".parquet":
                assert secret not in str(pq.read_table(path).to_pylist()), path


def test_the_same_bytes_over_cut_connections(s3: S3, whole: dict[str, str], tmp_path: Path, temporary: Path) -> None:
    out = tmp_path / "out"
    with proxy(s3.url) as between:
        between.share = 0.3
        env = s3.environment | {"AWS_ENDPOINT_URL_S3": between.url, "TMPDIR": str(temporary)}
        done = run("build", "s3://corpus/pdfs", "--out", out, "--workers", "2", *SLICES, env=env)
        assert content(out) == whole
        assert between.cut >= 3
        for secret in KEYS.values():
            assert_hidden(secret, out, done.stdout, done.stderr)
        # It is complete: the corpus is listed again, no file is fetched.
        between.share = 0.0
        between.requests.clear()
        run("build", "s3://corpus/pdfs", "--out", out, *SLICES, env=env)
        assert not [line for line in between.requests if ".pdf" in line.lower()]
        assert any("list-type=2" in line for line in between.requests)
        assert "PDF not" not in run("verify", "--qa", out, env=env).stdout


def test_an_outage_leaves_slices_for_the_next_run(s3: S3, whole: dict[str, str], tmp_path: Path, build: Call) -> None:
    out = tmp_path / "out"
    with proxy(s3.url) as between:
        env = s3.environment | {"AWS_ENDPOINT_URL_S3": between.url}
        build("s3://corpus/pdfs", "--out", out, "--part", "0/3", *SLICES, env=env)
        between.refuse = True
        failed = build("s3://corpus/pdfs", "--out", out, "--part", "1/3", *SLICES, env=env, code=1)
        assert "left for the next run" in failed
        assert "could not be fetched" in failed
        assert "run the same command again" in failed
        build("--out", out, "--finish", env=env, code=1)
        between.refuse = False
        for part in ("1/3", "2/3"):
            build("s3://corpus/pdfs", "--out", out, "--part", part, *SLICES, env=env)
    build("--out", out, "--finish", "--no-report")  # needs neither server nor keys
    assert content(out) == whole


def test_an_outage_while_the_inventory_is_taken(s3: S3, pdfs: Path, tmp_path: Path, build: Call) -> None:
    with proxy(s3.url) as between:
        env = s3.environment | {"AWS_ENDPOINT_URL_S3": between.url}
        between.refuse = True
        failed = build("s3://corpus/pdfs", "--out", tmp_path / "out", *SLICES, env=env, code=1)
    assert "s3://corpus/pdfs: could not be fetched in 6 tries" in failed
    assert_hidden("not-a-real", tmp_path / "out", failed)


def test_removed_and_replaced_files_cost_themselves(s3: S3, pdfs: Path, tmp_path: Path, build: Call) -> None:
    out, env = tmp_path / "out", s3.environment
    s3.put_folder("changing", "", pdfs)
    s3.client.delete_object(Bucket="changing", Key="sub/copy.pdf")
    slices = (*SHORT, "--set", "select.validation=0", "--set", "pack.documents_per_slice=3")
    build("s3://changing", "--out", out, "--part", "9/10", *slices, env=env)  # makes the plan, builds nothing
    plan = pq.read_table(next(out.glob(".work/*/plan.parquet"))).to_pylist()
    first = [row["path"].removeprefix("s3://changing/") for row in plan if row["slice"] == 0]
    other = [row["path"].removeprefix("s3://changing/") for row in plan if row["slice"] == 1]
    assert (len(first), len(other)) == (3, 2)
    s3.client.delete_object(Bucket="changing", Key=first[0])
    s3.put("changing", first[1], write_report(tmp_path / "new.pdf", 10, seed=99).read_bytes())
    for key in other:
        s3.client.delete_object(Bucket="changing", Key=key)
    # A slice of which nothing is there is rather a wrong place than a removed file: it is not given up.
    failed = build("s3://changing", "--out", out, "--part", "0/1", *slices, env=env, code=1)
    assert "1 slices are left for the next run" in failed
    assert "are not there any more (there is no such file)" in failed
    build("--out", out, "--finish", "--incomplete", "--no-report", env=env, code=3)
    assert reasons(out)["unreadable"] == 2
    sidecar = next(out.glob(".work/*/parse/*.json")).read_text()
    assert "there is no such file" in sidecar
    assert "another file than when the plan was made" in sidecar
    refused = build("s3://changing", "--out", out, *slices, env=env, code=1)
    assert f"- {Path(first[0]).name}" in refused


def test_secrets_of_web_servers(pdfs: Path, whole: dict[str, str], tmp_path: Path, build: Call) -> None:
    out = tmp_path / "out"
    with serve(pdfs) as server:
        server.secret = "hushhush"
        urls = [f"{server.url}/{path.relative_to(pdfs).as_posix()}" for path in pdfs.rglob("*.[pP][dD][fF]")]
        listing = tmp_path / "urls.txt"
        listing.write_text("".join(f"{url}?X-Amz-Signature=hushhush\n" for url in urls))
        said = ""
        for part in ("0/2", "1/2"):
            done = build(listing, "--out", out, "--part", part, *SLICES)
            said += done
        build("--out", out, "--finish", "--no-report")
        assert content(out) == whole
        assert_hidden("hushhush", out, said)
        out = tmp_path / "index"
        login = f"{server.url.replace('//', '//me:hushhush@')}/"
        done = build(login, "--out", out, *SLICES)
        assert content(out) == whole
        assert_hidden("hushhush", out, done)
        server.every, server.only = "503", "pdf"
        failed = build(login, "--out", tmp_path / "none", *SLICES, code=1)
        assert_hidden("hushhush", tmp_path / "none", failed)


def test_contamination_behind_urls(s3: S3, pdfs: Path, tmp_path: Path, build: Call) -> None:
    (tmp_path / "benchmark").mkdir()
    (tmp_path / "benchmark" / "a.pdf").write_bytes((pdfs / "report-1.pdf").read_bytes())
    done = run(
        "decontaminate", "s3://corpus/pdfs", "--against", tmp_path / "benchmark", "--workers", "1",
        env=s3.environment, code=1,
    )  # fmt: skip
    assert "s3://corpus/pdfs/report-1.pdf: " in done.stdout
    assert "8 looked at, 1 contaminated, 2 unreadable" in done.stderr


def test_a_missing_driver_names_its_extra(tmp_path: Path) -> None:
    env = without_driver(os.environ, tmp_path, "s3fs")
    failed = run("build", "s3://corpus/pdfs", "--out", tmp_path / "out", env=env, code=1)
    assert 'pip install "mmprolong[s3]"' in failed.stderr
