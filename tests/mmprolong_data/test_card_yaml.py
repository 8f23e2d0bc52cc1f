"""The card's YAML is what ``datasets`` itself would write, and the Hub's own classes read it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from datasets import DatasetInfo, SplitDict, SplitInfo
from datasets.info import DatasetInfosDict
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCard, DatasetCardData
from support.samples import write_dataset

from mmprolong_data.card_yaml import _size_category, card_metadata
from mmprolong_data.hf import features, webdataset_features
from mmprolong_data.shards import EXTENSION


@pytest.mark.parametrize("container", ["parquet", "webdataset"])
def test_equal_to_what_datasets_writes(container: str, tmp_path: Path) -> None:
    manifest = write_dataset(tmp_path / "data", container)
    kinds = features() if container == "parquet" else webdataset_features()
    configs, infos = {}, {}
    for config, splits in manifest.samples.items():
        paths = [{"split": split, "path": f"data/{config}/{split}-*{EXTENSION[container]}"} for split in splits]
        configs[config] = {"data_files": paths}
        sizes = {split: sum(shard["bytes"] for shard in manifest.shards_of(config, split)) for split in splits}
        infos[config] = DatasetInfo(
            features=kinds,
            splits=SplitDict(
                {split: SplitInfo(name=split, num_bytes=sizes[split], num_examples=n) for split, n in splits.items()}
            ),
            download_size=sum(sizes.values()),
            dataset_size=sum(sizes.values()),
        )
    theirs = DatasetCardData()
    MetadataConfigs(configs).to_dataset_card_data(theirs)
    DatasetInfosDict(infos).to_dataset_card_data(theirs)
    expected = yaml.safe_load(theirs.to_yaml())
    ours = yaml.safe_load(card_metadata(manifest))
    assert ours["configs"] == expected["configs"]
    assert ours["dataset_info"] == expected["dataset_info"]


def test_the_hubs_card_class_reads_it(tmp_path: Path) -> None:
    card = DatasetCard(f"---\n{card_metadata(write_dataset(tmp_path / 'data'))}---\n\n# A dataset\n")
    assert card.data.to_dict()["size_categories"] == ["n<1K"]
    assert "&id" not in card.content


@pytest.mark.parametrize(
    ("samples", "name"),
    [
        (1, "n<1K"),
        (999, "n<1K"),
        (1000, "1K<n<10K"),
        (99_999, "10K<n<100K"),
        (10**6, "1M<n<10M"),
        (10**8, "100M<n<1B"),
        (10**12, "n>1T"),
    ],
)
def test_size_categories_are_the_hubs(samples: int, name: str) -> None:
    assert _size_category(samples) == name
