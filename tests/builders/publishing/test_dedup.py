"""Key and packing keep Xet's chunks alike: measured in the storage that the genuine client writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hub_server import HubServer
from mmprolong_builders.card import write_card
from mmprolong_builders.publishing.hub import Repository
from mmprolong_builders.publishing.push import Push
from support.samples import make_sample, write_dataset

from mmprolong_data.manifest import write_manifest
from mmprolong_data.records import PageImages
from mmprolong_data.schema import Sample

from .test_push import Quiet

PAGES, PAGE_BYTES = 30, 200_000


def large(number: int, config: str, version: str) -> Sample:
    """A sample of the usual size: chunks are about 64 kB, so small ones would tell nothing."""
    generator = np.random.default_rng(number)
    images = PageImages([generator.bytes(PAGE_BYTES) for _ in range(PAGES)])
    return make_sample(number, config, pages=PAGES, images=images, version=version)


def published(hub: HubServer, root: Path, container: str, numbers: list[int], configs: list[str], version: str) -> int:
    """Build and push a version. Returns the bytes that travelled."""
    shards = {
        (config, "train"): [[large(n, config, version) for n in numbers[i : i + 3]] for i in range(0, len(numbers), 3)]
        for config in configs
    }
    manifest = replace(write_dataset(root, container, shards), dataset_version=version)
    write_card(root, manifest)
    write_manifest(root, manifest)
    before = hub.stored_bytes()
    call = Push(root, Repository("org/demo", hub.url), Quiet(), version)
    call.run(call.plan())
    return hub.stored_bytes() - before


@pytest.mark.parametrize("container", ["parquet", "webdataset"])
def test_the_same_documents_travel_once(tmp_path: Path, hub: HubServer, container: str) -> None:
    one, two = ["extract_multi"], ["extract_multi", "reasoning"]
    document = PAGES * PAGE_BYTES
    documents = [0, 1, 2, 3]
    first = published(hub, tmp_path / "a", container, documents, one, "1.0.0")
    assert first >= len(documents) * document
    second_config = published(hub, tmp_path / "b", container, documents, two, "1.1.0")
    assert second_config <= 0.03 * len(documents) * document
    # One more document, in front: every shard is another file, and every sample is built for another version.
    one_more = published(hub, tmp_path / "c", container, [9, *documents], two, "1.2.0")
    assert document <= one_more <= document + 0.03 * (2 * len(documents) + 1) * document
