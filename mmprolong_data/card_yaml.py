"""The card's YAML front matter, made from the Arrow schema. Equal to what ``datasets`` writes (a test compares them).

``datasets`` itself takes longer to import than a small corpus takes to build, hence no import of it here.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import yaml

from .manifest import Manifest
from .parquet_shards import arrow_schema
from .records import IMAGES_TYPE
from .shards import EXTENSION


def card_metadata(manifest: Manifest, values: dict[str, Any] | None = None) -> str:
    """Configs, features, sizes and tags of a dataset as YAML, without the ``---`` lines.

    ``values`` are the publisher's: licence, name, languages; they come first, in place of the defaults.
    """
    features = _features(manifest.container)
    extension = EXTENSION[manifest.container]
    configs, infos = [], []
    total = 0
    for config in sorted(manifest.configs()):
        splits = manifest.samples[config]
        sizes = {split: sum(shard["bytes"] for shard in manifest.shards_of(config, split)) for split in splits}
        files = [{"split": split, "path": f"data/{config}/{split}-*{extension}"} for split in splits]
        configs.append({"config_name": config, "data_files": files})
        infos.append(
            {
                "config_name": config,
                "features": features,
                "splits": [
                    {"name": split, "num_bytes": sizes[split], "num_examples": count} for split, count in splits.items()
                ],
                "download_size": sum(sizes.values()),
                "dataset_size": sum(sizes.values()),
            }
        )
        total += sum(splits.values())
    data = dict(values or {"license": "other", "license_name": "various", "pretty_name": "mmprolong"}) | {
        "annotations_creators": ["machine-generated"],
        "source_datasets": ["original"],
        "task_categories": ["visual-question-answering", "image-text-to-text"],
        "size_categories": [_size_category(total)],
        "tags": ["long-context", "document-question-answering", "ocr", "vision-language", "mmprolong"],
        "configs": configs,
        "dataset_info": infos,
    }
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        """No anchors: the features of all configs are one object here, and are written out in full."""
        return True


def _features(container: str) -> list[dict[str, Any]]:
    flat = [_feature(field.name, field.type) for field in arrow_schema()]
    if container == "parquet":
        return flat
    record = [feature for feature in flat if feature["name"] != "images"]
    return [
        {"name": "json", "struct": record},
        {"name": "images.mp", "list": "image"},
        {"name": "__key__", "dtype": "string"},
        {"name": "__url__", "dtype": "string"},
    ]


def _feature(name: str, kind: pa.DataType) -> dict[str, Any]:
    if kind == IMAGES_TYPE:
        return {"name": name, "list": "image"}
    if pa.types.is_list(kind):
        item = kind.value_type
        if pa.types.is_struct(item):
            return {"name": name, "list": [_feature(field.name, field.type) for field in item]}
        return {"name": name, "list": str(item)}
    if pa.types.is_struct(kind):
        return {"name": name, "struct": [_feature(field.name, field.type) for field in kind]}
    return {"name": name, "dtype": str(kind)}


def _size_category(samples: int) -> str:
    """The Hub's name for a number of samples."""
    names = ["1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T"]
    if samples < 1000:
        return "n<1K"
    power = len(str(samples)) - 4
    return f"{names[power]}<n<{names[power + 1]}" if power < len(names) - 1 else "n>1T"
