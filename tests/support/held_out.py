"""A small dataset with a validation split of several documents, to make probe suites from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mmprolong_data.schema import Sample
from support.samples import document_pages, make_sample, write_dataset

PAGES = 12
WIDTH, HEIGHT = 280, 392
"""140 tokens a page."""


def held_out_sample(seed: int, config: str, **changed: Any) -> Sample:
    """A sample of a document with pages large enough for a planted code."""
    images = document_pages(seed, PAGES, WIDTH, HEIGHT)
    values: dict[str, Any] = {"images": images, "num_tokens": PAGES * 150 + 60}
    return make_sample(seed, config, PAGES, **(values | changed))


def write_held_out(root: Path, documents: int = 7, container: str = "parquet") -> Path:
    """A dataset: ``documents`` in validation with all kinds of samples, one in train."""
    numbers = range(documents)
    lists = json.dumps(["red", "green"])
    validation = {
        "extract_single": [held_out_sample(n, "extract_single", evidence_pages=[n % PAGES]) for n in numbers],
        "extract_multi": [
            held_out_sample(
                n, "extract_multi", evidence_pages=[4, 6], answer=lists, answer_format="List",
                question="Which colours do pages 5 and 7 name?",
            )
            for n in numbers
        ],
        "reasoning": [
            held_out_sample(n, "reasoning", evidence_pages=[1, 2], answer=str(n * 10), answer_format="Integer")
            for n in numbers
        ],
        "ocr_needle": [
            held_out_sample(n, "ocr_needle", evidence_pages=[8], question="Transcribe page 9.", answer=f"text of {n}")
            for n in numbers
        ],
    }  # fmt: skip
    shards = {(config, "validation"): [samples] for config, samples in validation.items()}
    shards["extract_single", "train"] = [[held_out_sample(100, "extract_single")]]
    write_dataset(root, container, shards)
    return root
