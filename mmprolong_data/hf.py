"""How stock ``datasets`` sees a dataset: features, and the card's YAML. ``datasets`` is imported only when called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .manifest import Manifest
from .shards import EXTENSION

if TYPE_CHECKING:
    from datasets import Features


def features() -> Features:
    """The flat columns of every config."""
    from datasets import Features, Image, List, Value

    text, number = Value("string"), Value("int32")
    return Features(
        {
            "id": text,
            "doc_id": text,
            "config": text,
            "version": text,
            "num_pages": number,
            "num_tokens": number,
            "images": List(Image()),
            "messages": List({"role": text, "content": List({"type": text, "text": text})}),
            "question": text,
            "answer": text,
            "answer_format": text,
            "evidence_pages": List(number),
            "evidence_sources": List(text),
            "segment": {"start": number, "end": number},
            "generator": text,
            "verification": text,
            "meta": text,
        }
    )


def webdataset_features() -> Features:
    """What stock ``datasets`` reads from a tar: the record as it is, and the pages."""
    from datasets import Features, Image, List, Value

    flat = features()
    record = {name: kind for name, kind in flat.items() if name != "images"}
    return Features(
        {"json": record, "images.mp": List(Image()), "__key__": Value("string"), "__url__": Value("string")}
    )


def card_metadata(manifest: Manifest) -> str:
    """The YAML front matter of a dataset's card, without the ``---`` lines: configs, features, sizes and tags."""
    from datasets import DatasetInfo, SplitDict, SplitInfo
    from datasets.info import DatasetInfosDict
    from datasets.utils.metadata import MetadataConfigs
    from huggingface_hub import DatasetCardData

    extension = EXTENSION[manifest.container]
    kinds = features() if manifest.container == "parquet" else webdataset_features()
    configs: dict[str, Any] = {}
    infos = {}
    for config in manifest.configs():
        splits = manifest.samples[config]
        configs[config] = {
            "data_files": [{"split": split, "path": f"data/{config}/{split}-*{extension}"} for split in splits]
        }
        sizes = {split: sum(s["bytes"] for s in manifest.shards_of(config, split)) for split in splits}
        infos[config] = DatasetInfo(
            features=kinds,
            splits=SplitDict(
                {
                    split: SplitInfo(name=split, num_bytes=sizes[split], num_examples=count)
                    for split, count in splits.items()
                }
            ),
            download_size=sum(sizes.values()),
            dataset_size=sum(sizes.values()),
        )
    total = sum(sum(splits.values()) for splits in manifest.samples.values())
    data = DatasetCardData(
        pretty_name="mmprolong",
        license="other",
        task_categories=["visual-question-answering", "image-text-to-text"],
        tags=["long-context", "document-question-answering", "ocr", "vision-language", "mmprolong"],
        size_categories=[_size_category(total)],
    )
    MetadataConfigs(configs).to_dataset_card_data(data)
    DatasetInfosDict(infos).to_dataset_card_data(data)
    return str(data.to_yaml()).strip() + "\n"


def _size_category(samples: int) -> str:
    """The Hub's name for a number of samples."""
    edges = [(10**3, "1K"), (10**4, "10K"), (10**5, "100K"), (10**6, "1M"), (10**7, "10M")]
    lower = "n"
    for edge, name in edges:
        if samples < edge:
            return f"n<{name}" if lower == "n" else f"{lower}<n<{name}"
        lower = name
    return "n>10M"
