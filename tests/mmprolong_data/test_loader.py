"""PageStream: every sample once, in a planned order, exactly resumed on any number of ranks, threads and workers."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from support.samples import make_sample, write_dataset

from mmprolong_data.errors import FormatError, SettingsError
from mmprolong_data.loader import Pack, PageStream
from mmprolong_data.patches import decode_pages
from mmprolong_data.records import record_of
from mmprolong_data.shards import read_shard

CONTAINERS = ("parquet", "webdataset")
MIX = {"extract_single": 0.5, "extract_multi": 0.3, "ocr_full": 0.2}
SIZES = {"extract_single": [11, 9], "extract_multi": [12], "ocr_full": [3, 5]}
"""An epoch has 40 samples: 20, 12 and 8 (every one of each), in 5 shards."""


def write(root: Path, container: str) -> Path:
    shards = {}
    for config, sizes in SIZES.items():
        numbers = iter(range(100))
        shards[config, "train"] = [
            [make_sample(n, config, pages=2 + n % 4) for n, _ in zip(numbers, range(size), strict=False)]
            for size in sizes
        ]
    write_dataset(root, container, shards)
    return root


@pytest.fixture(scope="module", params=CONTAINERS)
def dataset(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data") / "dataset", request.param)


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data") / "dataset", "parquet")


def stream(root: Path, **settings: object) -> PageStream:
    return PageStream(root, MIX, **({"max_tokens": 300, "window": 16, "packs_per_step": 4, "threads": 2} | settings))


def keys(packs: list[Pack]) -> list[list[str]]:
    return [[sample.record["id"] for sample in pack.samples] for pack in packs]


def take(packs: PageStream, count: int) -> list[Pack]:
    iterator = iter(packs)
    taken = [next(iterator) for _ in range(count)]
    iterator.close()  # type: ignore[attr-defined]
    return taken


def test_a_pack_holds_the_samples_of_the_dataset(dataset: Path) -> None:
    samples = {s.id: s for path in sorted((dataset / "data").rglob("*-of-*")) for s in read_shard(path)}
    packs = list(stream(dataset))
    assert sorted(key for pack in keys(packs) for key in pack) == sorted(samples)
    for pack in packs:
        assert 0 < pack.num_tokens == sum(sample.num_tokens for sample in pack.samples) <= pack.max_tokens == 300
        for sample in pack.samples:
            original = samples[sample.record["id"]]
            assert sample.record == record_of(original)
            assert sample.num_tokens == original.num_tokens
            pixels, grid = decode_pages(original.images)
            assert np.array_equal(sample.pixels, pixels)
            assert np.array_equal(sample.grid_thw, grid)
            assert len(sample.pages) == 0


def test_both_containers_give_equal_packs_and_states(tmp_path: Path) -> None:
    streams = [stream(write(tmp_path / container, container)) for container in CONTAINERS]
    taken = [take(packs, 5) for packs in streams]
    assert keys(taken[0]) == keys(taken[1])
    for left, right in zip(*([s for pack in packs for s in pack.samples] for packs in taken), strict=True):
        assert left.record == right.record
        assert np.array_equal(left.pixels, right.pixels)
    streams[1].load_state_dict(streams[0].state_dict())
    assert keys(list(streams[0])) == keys(list(streams[1]))


def test_undecoded_pages_and_records_alone(dataset: Path) -> None:
    patches, pages, records = (list(stream(dataset, pixels=pixels)) for pixels in ("patches", "jpeg", None))
    assert keys(patches) == keys(pages) == keys(records)
    for pack in pages:
        for sample in pack.samples:
            images = make_sample(0, pages=1).images  # a page of the same kind
            assert all(bytes(page)[:2] == images[0][:2] for page in sample.pages)
            assert len(sample.pages) == sample.record["num_pages"]
            assert sample.pixels is None
    assert not any(sample.pages for pack in records for sample in pack.samples)


@pytest.mark.parametrize("world_size", [1, 2, 3, 6, 8, 40])
@pytest.mark.parametrize("tail", ["ragged", "empty", "drop"])
def test_ranks_share_an_epoch(parquet: Path, world_size: int, tail: str) -> None:
    whole = keys(list(stream(parquet, pixels=None)))
    ranks = []
    for rank in range(world_size):
        packs = stream(parquet, pixels=None, rank=rank, world_size=world_size, tail=tail)
        count = len(packs)
        ranks.append(keys(list(packs)))
        assert len(ranks[-1]) == count
        assert (packs.state_dict()["epoch"], packs.state_dict()["position"]) == (1, 0)
    rounds = max(map(len, ranks))
    together = [ranks[rank][n] for n in range(rounds) for rank in range(world_size) if n < len(ranks[rank])]
    if tail == "ragged":
        assert together == whole
    elif tail == "empty":
        assert len({len(rank) for rank in ranks}) == 1
        assert [pack for pack in together if pack] == whole
    else:
        assert len({len(rank) for rank in ranks}) == 1
        assert together == whole[: len(whole) // world_size * world_size]


@pytest.mark.parametrize(("before", "after"), [(1, 1), (8, 6), (6, 8), (1, 3), (4, 1)])
@pytest.mark.parametrize("rounds", [0, 1, 2])
def test_a_changed_world_size_repeats_nothing_and_loses_nothing(
    parquet: Path, before: int, after: int, rounds: int
) -> None:
    settings = {"pixels": None, "pack": False}
    whole = keys(list(stream(parquet, **settings)))
    streams = [stream(parquet, rank=rank, world_size=before, **settings) for rank in range(before)]
    taken = [keys(take(packs, rounds)) for packs in streams]
    states = [packs.state_dict() for packs in streams]
    assert all(state == states[0] for state in states)
    state = json.loads(json.dumps(states[0]))
    assert len(json.dumps(state)) < 1000
    rest = []
    for rank in range(after):
        packs = stream(parquet, rank=rank, world_size=after, threads=1 + rank % 3, **settings)
        packs.load_state_dict(state)
        rest.append(keys(list(packs)))
    first = [taken[rank][n] for n in range(rounds) for rank in range(before)]
    second = [rank[n] for n in range(max(map(len, rest))) for rank in rest if n < len(rank)]
    assert first + second == whole


RESUME = """
import json, sys
from pathlib import Path
from mmprolong_data.loader import PageStream
root, settings, state = Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
packs = PageStream(root, settings.pop("configs"), **settings)
if state:
    packs.load_state_dict(json.loads(state))
for _ in range(2):
    for pack in packs:
        line = {"keys": [s.record["id"] for s in pack.samples], "state": packs.state_dict()}
        line["sum"] = [int(s.pixels.sum()) for s in pack.samples]
        print(json.dumps(line), flush=True)
"""


def test_a_killed_process_is_resumed_by_another_one(dataset: Path) -> None:
    """Two epochs; killed after some packs, several times, with other threads every time."""

    def lines(state: str, threads: int, count: int | None) -> list[dict[str, object]]:
        settings = {"configs": MIX, "max_tokens": 300, "window": 16, "packs_per_step": 4, "threads": threads}
        command = [sys.executable, "-c", RESUME, str(dataset), json.dumps(settings), state]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            got = []
            for line in process.stdout:
                got.append(json.loads(line))
                if len(got) == count:
                    process.kill()
            return got if count is None else got[:count]

    whole = lines("", 2, None)
    pieces: list[dict[str, object]] = []
    for threads, count in ((1, 3), (4, 7)):
        pieces += lines(json.dumps(pieces[-1]["state"]) if pieces else "", threads, count)
    state = pieces[-1]["state"]
    rest = lines(json.dumps(state), 3, None)  # two more epochs from there
    pieces += rest[: len(whole) - len(pieces)]
    assert pieces == whole


def test_epochs_follow_each_other(parquet: Path) -> None:
    packs = stream(parquet, pixels=None)
    first, second = keys(list(packs)), keys(list(packs))
    assert first != second
    assert sorted(chain(*first)) == sorted(chain(*second))
    packs.set_epoch(0)
    assert keys(list(packs)) == first
    assert packs.epoch == 1
    packs.set_epoch(1)
    taken = take(packs, 2)
    packs.set_epoch(1)  # already there: a resumed loop does not lose its place
    assert keys(taken) + keys(list(packs)) == second


def test_iterating_goes_on_where_it_stopped(parquet: Path) -> None:
    packs = stream(parquet, pixels=None)
    whole = keys(list(stream(parquet, pixels=None)))
    assert keys(take(packs, 3)) + keys(take(packs, 2)) + keys(list(packs)) == whole


def test_an_iteration_ends_when_another_begins(parquet: Path) -> None:
    packs = stream(parquet, pixels=None)
    old = iter(packs)
    next(old)
    new = iter(packs)
    next(new)
    with pytest.raises(RuntimeError, match="another one began"):
        next(old)


def test_the_mixture_follows_the_weights(parquet: Path) -> None:
    packs = PageStream(parquet, {"extract_single": 3, "ocr_full": 1}, pixels=None, max_tokens=300, epoch_samples=16)
    configs = [sample.record["config"] for pack in packs for sample in pack.samples]
    assert (configs.count("extract_single"), configs.count("ocr_full")) == (12, 4)
    whole = PageStream(parquet, "ocr_full", pixels=None, max_tokens=300)
    assert whole.plan.num_samples == 8


def test_a_state_of_another_order_is_refused_with_the_differences(parquet: Path) -> None:
    state = stream(parquet).state_dict()
    for changed, words in [
        ({"seed": 1}, "seed: 0 -> 1"),
        ({"max_tokens": 400}, "max_tokens: 300 -> 400"),
        ({"packs_per_step": 2}, "packs_per_step: 4 -> 2"),
    ]:
        with pytest.raises(SettingsError, match=words):
            stream(parquet, **changed).load_state_dict(state)
    other = PageStream(parquet, {"ocr_full": 1}, max_tokens=300)
    with pytest.raises(SettingsError, match=r"configs\.extract_multi: 0\.3 -> '\(absent\)'"):
        other.load_state_dict(state)
    for broken in ({}, {"version": 1}, {"version": 99, "epoch": 0, "position": 0, "settings": {}}):
        with pytest.raises(SettingsError, match=r"not the state|version 99"):
            stream(parquet).load_state_dict(broken)


def damage(root: Path, key: str, where: Callable[[bytes, bytes], int]) -> str:
    """Flip one byte inside the shard that holds sample ``key``; returns the shard's name."""
    number, _, config = key.partition(":")
    sample = make_sample(int(number), config, pages=2 + int(number) % 4)
    for path in sorted((root / "data" / config).iterdir()):
        content = bytearray(path.read_bytes())
        if content.find(sample.id.encode()) >= 0 and sample.images[1] in content:
            at = where(bytes(content), sample.images[1])
            content[at] ^= 0xFF
            path.write_bytes(content)
            return path.name
    raise AssertionError(key)


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_bad_sample_stops_the_stream_or_is_counted(container: str, tmp_path: Path) -> None:
    root = write(tmp_path / "dataset", container)
    bad = make_sample(4, "extract_multi", pages=2).id
    name = damage(root, "4:extract_multi", lambda content, page: content.find(page) + len(page) // 2)
    packs = stream(root)
    with pytest.raises(FormatError, match=rf"{name}.*{bad}.*checksum"):
        list(packs)
    position = packs.state_dict()["position"]
    packs = stream(root, on_error="skip")
    packs.load_state_dict({**packs.state_dict(), "position": position})
    rest = list(packs)
    assert bad not in chain(*keys(rest))
    assert [(entry["shard"].rpartition("/")[2], entry["key"]) for entry in packs.stats.skipped] == [(name, bad)]
    assert "checksum" in packs.stats.skipped[0]["reason"]
    whole = stream(root, on_error="skip")
    assert [pack.position for pack in whole] == list(range(len(stream(root))))
    assert whole.stats.samples == 39
    with pytest.raises(FormatError, match="max_errors = 0"):
        list(stream(root, on_error="skip", max_errors=0))


@pytest.mark.parametrize("container", CONTAINERS)
def test_no_damage_of_a_shard_passes_unseen(container: str, tmp_path: Path) -> None:
    """Bytes at random places: whatever is delivered is right, the rest is listed; never another exception."""
    root = write(tmp_path / "dataset", container)
    good = {s.record["id"]: (s.record, s.pixels) for pack in stream(root) for s in pack.samples}
    generator = random.Random(0)
    for path in sorted((root / "data").rglob("*-of-*")):
        content = bytearray(path.read_bytes())
        for _ in range(30):
            content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        path.write_bytes(content)
    packs = stream(root, on_error="skip")
    delivered = [sample for pack in packs for sample in pack.samples]
    assert packs.stats.skipped
    assert len(delivered) + len(packs.stats.skipped) == len(good)
    for sample in delivered:
        record, pixels = good[sample.record["id"]]
        assert sample.record == record
        assert np.array_equal(sample.pixels, pixels)


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_page_that_is_no_jpeg_or_is_missing_is_named(container: str, tmp_path: Path) -> None:
    images = [*make_sample(0).images[:2], b"no jpeg"]
    samples = [make_sample(1), make_sample(0, images=images)]
    write_dataset(tmp_path / "dataset", container, {("extract_single", "train"): [samples]})
    with pytest.raises(FormatError, match=rf"{samples[1].id}: a page cannot be decoded \(page 3"):
        list(PageStream(tmp_path / "dataset", "extract_single"))
    cut = [*make_sample(0).images[:2], make_sample(0).images[2][:500]]
    write_dataset(
        tmp_path / "cut", container, {("extract_single", "train"): [[samples[0], make_sample(0, images=cut)]]}
    )
    with pytest.raises(FormatError, match=rf"{samples[1].id}: a page cannot be decoded"):
        list(PageStream(tmp_path / "cut", "extract_single"))


def test_wrong_arguments_are_explained(parquet: Path, tmp_path: Path) -> None:
    for settings, words in [
        ({"split": "test"}, "no split 'test'; it has train"),
        ({"version": "2.0.0"}, r"version 1\.0\.0, not 2\.0\.0"),
        ({"version": "v9.0.0"}, r"version 1\.0\.0, not 9\.0\.0"),
        ({"rank": 2, "world_size": 2}, "rank = 2"),
        ({"world_size": 0}, "world_size = 0"),
        ({"pixels": "float"}, "pixels = 'float'"),
        ({"max_tokens": 100}, r"samples are longer than max_tokens = 100; the longest has \d+"),
    ]:
        with pytest.raises(SettingsError, match=words):
            stream(parquet, **settings)
    assert stream(parquet, version="v1.0.0").plan.num_samples == 40
    with pytest.raises(SettingsError, match=r"no config 'reasoning'; it has extract_single, extract_multi, ocr_full"):
        PageStream(parquet, {"reasoning": 1})
    for weights in ({"ocr_full": 0}, {"ocr_full": -1}, {"ocr_full": float("nan")}, {}):
        with pytest.raises(SettingsError, match="above 0"):
            PageStream(parquet, weights, max_tokens=300)
    with pytest.raises(FormatError, match=r"manifest\.json: missing"):
        PageStream(tmp_path / "nothing", {"ocr_full": 1})


def test_long_samples_can_be_dropped_and_are_counted(parquet: Path) -> None:
    packs = PageStream(parquet, ["extract_single", "ocr_full"], max_tokens=110, too_long="drop", pixels=None)
    delivered = [sample for pack in packs for sample in pack.samples]
    assert 0 < packs.dropped < 28
    assert len(delivered) == 28 - packs.dropped
    assert max(sample.num_tokens for sample in delivered) <= 110


def test_a_newer_format_and_a_damaged_index_are_refused(tmp_path: Path) -> None:
    root = write(tmp_path / "dataset", "parquet")
    index = root / "index" / "ocr_full-train.parquet"
    content = index.read_bytes()
    index.write_bytes(content[:-3] + b"xxx")
    with pytest.raises(FormatError, match=r"ocr_full-train\.parquet: damaged"):
        stream(root)
    index.write_bytes(content)
    manifest = json.loads((root / "manifest.json").read_text())
    manifest["format_version"] = 99
    (root / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(FormatError, match="format version 99 is newer"):
        stream(root)


def test_an_index_cannot_lead_out_of_the_dataset(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    root = write(tmp_path / "dataset", "parquet")
    manifest = json.loads((root / "manifest.json").read_text())
    path = root / "index" / "ocr_full-train.parquet"
    table = pq.read_table(path)
    names = ["../../secret.parquet", *table["shard"].to_pylist()[1:]]
    pq.write_table(table.set_column(1, "shard", pa.array(names)), path)
    manifest["indexes"] = {}
    (root / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(FormatError, match="shards are not the manifest's"):
        stream(root)
