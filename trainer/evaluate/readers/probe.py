"""Suite ``probe``: what ``mmprolong build-probe`` made, or the validation split of any dataset of ours."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from mmprolong_data.errors import MMProLongError
from mmprolong_data.index import IndexRow

from ..items import IMAGE, Item, Part, Suite
from ..probe.build import dataset_identity
from ..probe.pages import ShardPages
from ..probe.settings import LENGTHS
from ..probe.source import Source

SPLIT = "validation"
SHORT_REPLY = 128


def read_probe(root: Path) -> Suite:
    """The suite.

    A dataset that is no probe suite serves as well: its validation samples count to the smallest power of two (8K or
    more) that holds them, and their depth is where their evidence stands.

    Raises:
        FormatError: there is no dataset, or it is damaged.
        MMProLongError: its validation split is empty.
    """
    source = Source(root, SPLIT)
    pages = ShardPages(root)
    records = (record for config in source.configs() for record in source.records(config))
    items = [_item(pages, record.values, record.row) for record in records]
    if not items:
        raise MMProLongError(f"{root}: no samples in the validation split")
    built = "probe" in source.manifest.recipe
    notes = () if built else ("The samples of a dataset, not a probe suite: lengths are upper bounds.",)
    return Suite("probe", items, notes=notes, digest=dataset_identity(source.manifest))


def _item(pages: ShardPages, record: dict[str, Any], row: IndexRow) -> Item:
    probe = json.loads(record["meta"]).get("probe", {})
    evidence = tuple(record["evidence_pages"])
    parts: list[Part] = [
        IMAGE if part["type"] == "image" else part["text"]
        for message in record["messages"]
        if message["role"] != "assistant"
        for part in message["content"]
    ]
    transcribes = record["config"].startswith("ocr_")
    if probe:
        length = probe["length"]
        depth = probe["depth"] / (probe["depths"] - 1) if probe["depths"] > 1 else 0.5
    else:
        length = next((n for n in LENGTHS if n >= record["num_tokens"]), LENGTHS[-1])
        depth = evidence[0] / max(1, record["num_pages"] - 1)
    return Item(
        key=record["id"],
        task=record["config"],
        parts=tuple(parts),
        pages=tuple(f"{row.crc32:08x}/{page}" for page in range(record["num_pages"])),
        load=functools.partial(pages.read, row),
        question=record["question"],
        answer=record["answer"],
        answer_format=record["answer_format"],
        scorer="transcription" if transcribes else "typed",
        length=length,
        depth=depth,
        evidence=evidence,
        max_tokens=max(SHORT_REPLY, len(record["answer"]) if transcribes else 0),
        groups={"source": "+".join(record["evidence_sources"]), "format": record["answer_format"]},
    )
