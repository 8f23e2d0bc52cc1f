"""Reading from a folder and over HTTP: retried where that can help, a clear error where not, nothing lost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.http_server import FaultyServer, serve
from support.samples import write_dataset

from mmprolong_data.cache import CachedSource
from mmprolong_data.errors import FormatError
from mmprolong_data.loader import PageStream
from mmprolong_data.source import LocalSource, SourceError, open_source, redacted

CONFIGS = ("extract_single", "extract_multi")


@pytest.fixture(params=["parquet", "webdataset"])
def dataset(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    write_dataset(tmp_path / "dataset", request.param)
    return tmp_path / "dataset"


@pytest.fixture
def server(dataset: Path) -> Iterator[FaultyServer]:
    with serve(dataset) as running:
        yield running


def stream(root: str | Path, **settings: object) -> PageStream:
    return PageStream(root, CONFIGS, pixels="jpeg", max_tokens=300, backoff=0.001, **settings)


def content(packs: PageStream) -> list[list[tuple[str, list[bytes]]]]:
    return [[(s.record["id"], [bytes(page) for page in s.pages]) for s in pack.samples] for pack in packs]


def test_a_url_gives_what_the_folder_gives(dataset: Path, server: FaultyServer) -> None:
    assert content(stream(server.url)) == content(stream(dataset))
    ranged = [request for request in server.requests if request[0].startswith("/data/")]
    assert ranged
    assert all(status == 206 for _, _, status in ranged)


@pytest.mark.parametrize("fault", ["503", "429", "cut", "short", "damaged"])
def test_faults_that_pass_cost_nothing_but_a_retry(dataset: Path, server: FaultyServer, fault: str) -> None:
    server.faults = dict.fromkeys((0, 2, 3, 7), fault)  # type: ignore[arg-type]
    packs = stream(server.url)
    assert content(packs) == content(stream(dataset))
    if fault != "damaged":  # those bytes came in full, and were read again because of their checksum
        assert packs.stats.retries == 4
    assert packs.stats.skipped == []


def test_the_manifest_and_the_indexes_are_retried_too(dataset: Path, server: FaultyServer) -> None:
    server.only, server.faults = r"\.json|^/index/", {0: "503", 1: "cut", 3: "503"}
    assert content(stream(server.url)) == content(stream(dataset))


def test_a_server_that_stays_away_ends_the_stream_with_its_name(server: FaultyServer) -> None:
    server.every = "503"
    packs = stream(server.url, attempts=3, on_error="skip")  # no sample is bad: skipping would lose them all
    with pytest.raises(SourceError, match=r"data/extract_.*could not be fetched in 3 tries.*503"):
        content(packs)
    assert packs.state_dict()["position"] == 0
    server.every = None
    assert len(content(packs)) == packs.plan.num_packs


def test_no_right_is_said_at_once(server: FaultyServer) -> None:
    server.every = "403"
    with pytest.raises(SourceError, match="access is refused"):
        content(stream(server.url))
    refused = [request for request in server.requests if request[2] == 403]
    assert len(set(refused)) == len(refused)  # no second try


def test_a_server_without_ranges_is_refused(server: FaultyServer) -> None:
    server.every = "whole"
    with pytest.raises(FormatError, match="ignores ranges"):
        content(stream(server.url))


def test_a_missing_shard_is_named(dataset: Path, server: FaultyServer) -> None:
    shard = sorted((dataset / "data" / "extract_multi").iterdir())[0]
    shard.unlink()
    for root in (dataset, server.url):
        with pytest.raises(FormatError, match=rf"{shard.name}.*missing"):
            content(stream(root))


def test_nothing_listens(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="could not be fetched in 2 tries"):
        stream("http://127.0.0.1:9", attempts=2)


def test_an_unknown_protocol_is_an_error_not_a_traceback() -> None:
    with pytest.raises(SourceError, match="cannot be opened"):
        stream("nonsense://bucket/dataset")


def test_a_cache_serves_the_second_epoch(server: FaultyServer, tmp_path: Path) -> None:
    first = content(stream(server.url, cache_dir=tmp_path / "cache"))
    asked = server.matched
    assert content(stream(server.url, cache_dir=tmp_path / "cache")) == first
    assert server.matched == asked


def test_damage_in_the_cache_is_repaired(server: FaultyServer, tmp_path: Path) -> None:
    first = content(stream(server.url, cache_dir=tmp_path / "cache"))
    files = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert files
    for path in files:
        data = path.read_bytes()
        path.write_bytes(data[:-9] + bytes(9) if path.stat().st_mtime_ns % 2 else data[: len(data) // 2])
    assert content(stream(server.url, cache_dir=tmp_path / "cache")) == first
    asked = server.matched
    assert content(stream(server.url, cache_dir=tmp_path / "cache")) == first
    assert server.matched == asked


def test_a_cache_stays_below_its_cap_and_keeps_what_was_used_last(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").write_bytes(os.urandom(10_000))
    cache = CachedSource(LocalSource(tmp_path), "url", tmp_path / "cache", 3_500)

    def kept() -> list[int]:
        files = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
        assert sum(path.stat().st_size for path in files) <= 3_500
        return sorted(int(path.name.split("-")[0]) for path in files)

    for number in range(3):
        cache.read("data/file", 1_000 * number, 1_000)
        for path in (tmp_path / "cache").rglob(f"{1_000 * number}-*"):
            os.utime(path, (number, number))
    cache.read("data/file", 0, 1_000)  # used again: now the youngest
    assert kept() == [0, 1_000, 2_000]
    cache.read("data/file", 3_000, 1_000)
    assert kept() == [0, 2_000, 3_000]
    assert cache.read("data/file", 5_000, 4_000) == (tmp_path / "data" / "file").read_bytes()[5_000:9_000]
    assert 5_000 not in kept()


def test_a_cache_that_cannot_be_written_costs_no_sample(server: FaultyServer, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert content(stream(server.url, cache_dir=tmp_path / "cache"))


def test_secrets_in_a_url_are_not_shown() -> None:
    assert redacted("https://user:secret@host:8/path/?sig=abc") == "https://host:8/path"
    assert redacted("hf://datasets/ORG/NAME@v1.0.0/") == "hf://datasets/ORG/NAME@v1.0.0"
    with pytest.raises(SourceError) as caught:
        open_source("http://user:secret@127.0.0.1:9/x?sig=abc", attempts=1).read_all("manifest.json")
    assert "secret" not in str(caught.value)
    assert "abc" not in str(caught.value)
