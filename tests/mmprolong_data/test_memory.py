"""Memory of the stream stays within what was asked for, in bytes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.samples import document_pages, make_sample, write_dataset

from mmprolong_data.catalog import Entry
from mmprolong_data.prefetch import Prefetcher, Reader
from mmprolong_data.source import LocalSource

PEAK = """
import json, resource, sys
from mmprolong_data.loader import PageStream
import mmprolong_data.patches, mmprolong_data.prefetch, mmprolong_data.raw

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

packs = PageStream(sys.argv[1], sys.argv[2], threads=2)
list(PageStream(sys.argv[1], "extract_single", threads=2))  # small: everything is imported and warm
before = peak()
pack = next(iter(packs))
print(json.dumps({"extra": peak() - before, "pixels": pack.samples[0].pixels.nbytes, "tokens": pack.num_tokens}))
"""


@pytest.mark.parametrize("container", ["parquet", "webdataset"])
def test_one_sample_of_128k_tokens_takes_little_more_than_its_pixels(container: str, tmp_path: Path) -> None:
    page = document_pages(0, 1, 1008, 1428)[0]
    tokens = 36 * 51 * 71
    assert 125_000 < tokens < 131_072
    long = make_sample(1, "ocr_full", pages=71, images=[page] * 71, num_tokens=tokens + 500)
    shards = {("ocr_full", "train"): [[long]], ("extract_single", "train"): [[make_sample(0)]]}
    write_dataset(tmp_path / "dataset", container, shards)
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(tmp_path / "dataset"), "ocr_full"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout)
    assert got["pixels"] == tokens * 4 * 588
    assert got["extra"] < 0.4e9


def test_what_runs_ahead_is_bounded_in_bytes(tmp_path: Path) -> None:
    """With a budget of five samples' pixels, no more are decoded while the consumer holds still."""
    samples = [make_sample(n, pages=4) for n in range(30)]
    write_dataset(tmp_path / "dataset", "webdataset", {("extract_single", "train"): [samples]})
    from mmprolong_data.catalog import read_config, read_dataset

    source = LocalSource(tmp_path / "dataset")
    index = read_config(source, read_dataset(source), "extract_single", "train")
    pixels = 4 * 84 * 112 * 3
    budget = 8 * pixels
    entries = iter([index.entry(n) for n in range(30)])
    taken: list[Entry] = []

    def counted() -> object:
        for entry in entries:
            taken.append(entry)
            yield entry

    prefetcher = Prefetcher(Reader(source), counted(), "patches", "chw", 2, 2, budget)  # type: ignore[arg-type]
    iterator = iter(prefetcher)
    first = next(iterator)
    assert first.pixels is not None
    assert first.pixels.nbytes == pixels
    settled = threading.Event()
    for _ in range(200):
        if all(item.ready.is_set() for item in prefetcher.queued() if item.decoding):
            break
        settled.wait(0.01)
    decoding = sum(item.decoding for item in prefetcher.queued())
    assert 1 <= decoding <= 6
    held = sum(item.pixels.nbytes for item in prefetcher.queued() if item.decoding and item.pixels is not None)
    assert held <= budget * 3 / 4
    assert sum(item.entry.size for item in prefetcher.queued()) <= budget
    assert len(taken) < 30
    rest = [first, *iterator]
    assert [item.entry.key for item in rest] == [sample.id for sample in samples]
    prefetcher.close()
