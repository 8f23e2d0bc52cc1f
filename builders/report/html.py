"""``report/``: the charts as PNG files, and ``index.html``, which holds everything and needs nothing else."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Collection, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from mmprolong_data.errors import FormatError
from mmprolong_data.schema import SPLITS, Sample
from mmprolong_data.shards import read_sample

from ..blocks import Document, Page
from ..card_info import PROBE_PURPOSES, PURPOSES
from ..qa.verify import CHECKS
from ..reasons import DOCUMENT_REASONS, SAMPLE_REASONS
from ..seeding import stable_int
from ..workspace import write_atomically
from .figures import draw_figures
from .models import model_questions, verdicts
from .pictures import KIND_COLOURS, page_with_blocks, thumbnail
from .statistics import Statistics, read_statistics

EXAMPLES = 3
"""Examples shown for each config."""
EXAMPLE_PAGES = 2
BLOCK_PAGES = 3
ANSWER_CHARACTERS = 700
LEFT_OUT_ROWS = 200

CAPTIONS = {
    "lengths": "Length of the samples in tokens, image and text together.",
    "pages": "Length of the documents in pages, once for every sample.",
    "evidence": "Where the evidence stands: depth in the document against the sample's length (ocr_full left out).",
    "families": "Kinds of questions.",
    "left_out": "What became of the documents found.",
}


def write_report(root: Path, *, documents: Mapping[str, Document] | None = None) -> Path:
    """Draw the report of a dataset.

    The choice of examples is a hash of their keys, so the same dataset gives the same report. Only a bounded number of
    samples is read, whatever the dataset's size.

    Args:
        root: The dataset's folder.
        documents: ``doc_id`` -> parsed document, for the pages with their blocks; left out where there is none.

    Returns:
        The path of the HTML page.

    Raises:
        FormatError: there is no dataset, or a shard that is needed is damaged.
        MMProLongError: Matplotlib is not installed.
    """
    statistics = read_statistics(root)
    figures = draw_figures(statistics)
    folder = root / "report"
    for name, png in figures.items():
        write_atomically(folder / f"{name}.png", png)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(resources.files(__package__).joinpath("page.html.j2").read_text("utf-8"))
    manifest = statistics.manifest
    page = template.render(
        manifest=manifest,
        configs=manifest.configs(),
        splits=[split for split in SPLITS if any(split in counts for counts in manifest.samples.values())],
        purposes=PURPOSES | PROBE_PURPOSES,
        figures={name: (_data_url(png, "png"), CAPTIONS[name], _png_size(png)) for name, png in figures.items()},
        formats=statistics.counts("answer_format"),
        languages=statistics.counts("language"),
        reasons=DOCUMENT_REASONS,
        sample_reasons=SAMPLE_REASONS,
        checks=CHECKS,
        left_out=statistics.left_out(LEFT_OUT_ROWS),
        blocks=_block_pages(root, statistics, documents or {}),
        colours=KIND_COLOURS,
        examples=_examples(root, statistics),
        models=model_questions(root, manifest),
        recipe=json.dumps(manifest.recipe, indent=1, sort_keys=True),
        totals=(_total(manifest.samples), _total(manifest.tokens), sum(s["bytes"] for s in manifest.shards)),
    )
    path = folder / "index.html"
    write_atomically(path, page.encode("utf-8", "replace"))
    return path


def _total(table: Mapping[str, Mapping[str, int]]) -> int:
    return sum(sum(counts.values()) for counts in table.values())


def _data_url(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _png_size(png: bytes) -> tuple[int, int]:
    """Width and height at which a chart drawn at 130 DPI is shown (CSS pixels, 96 an inch)."""
    from PIL import Image

    with Image.open(io.BytesIO(png)) as image:
        return round(image.width * 96 / 130), round(image.height * 96 / 130)


def _examples(root: Path, statistics: Statistics) -> dict[str, list[dict[str, Any]]]:
    examples: dict[str, list[dict[str, Any]]] = {}
    for config, records in statistics.records.items():
        chosen: list[dict[str, Any]] = []
        families: set[str] = set()
        for record in sorted(records, key=lambda record: stable_int("example", record["id"])):
            family = str(record["meta"].get("family", ""))
            # A model's questions are all of a few families.
            alike = config.startswith("ocr_") or family.startswith("model_")
            if len(chosen) < EXAMPLES and (family not in families or alike):
                families.add(family)
                chosen.append(record)
        examples[config] = [_example(root, record) for record in chosen]
    return examples


def _example(root: Path, record: dict[str, Any]) -> dict[str, Any]:
    sample = read_sample(root / record["row"].shard, record["row"])
    pages = record["evidence_pages"][:EXAMPLE_PAGES]
    answer = record["answer"]
    return record | {
        "answer": answer if len(answer) <= ANSWER_CHARACTERS else answer[:ANSWER_CHARACTERS] + " ...",
        "pictures": [(page + 1, _data_url(thumbnail(sample.images[page]), "jpeg")) for page in pages],
        "more_pages": len(record["evidence_pages"]) - len(pages),
        "checks": record["verification"].get("checks", {}),
        "verdicts": verdicts(record["verification"].get("models")),
    }


def _various_pages(document: Document, among: Collection[int] | None = None, most: int = BLOCK_PAGES) -> list[int]:
    """Up to ``most`` pages, each the one that shows most kinds of blocks not shown yet."""
    kinds = {page.number: {block.kind for block in page.blocks} for page in document.pages if page.blocks}
    kinds = {number: own for number, own in kinds.items() if among is None or number in among}
    chosen: list[int] = []
    while kinds and len(chosen) < most:
        shown: set[str] = set().union(*({block.kind for block in document.pages[n].blocks} for n in chosen))
        best = min(kinds, key=lambda n: (-2 * len(kinds[n] - shown) - len(kinds[n]), n))
        chosen.append(best)
        del kinds[best]
    return sorted(chosen)


def _block_pages(root: Path, statistics: Statistics, documents: Mapping[str, Document]) -> list[dict[str, Any]]:
    """Pages of one sample whose blocks are of many kinds, and of one that OCR has read, with their boxes."""
    best: tuple[int, Sample, Document] | None = None
    scanned: tuple[Sample, list[int], Document] | None = None
    rows = {row.doc_id: row for own in statistics.rows.values() for row in own}
    for i, row in enumerate(sorted(rows.values(), key=lambda row: stable_int("blocks", row.doc_id))[:24]):
        try:
            document = documents[row.doc_id]
        except KeyError:
            continue
        variety = len({block.kind for page in document.pages for block in page.blocks})
        read = [page.number for page in document.pages if page.status == "ocr"]
        try:
            if i < 8 and (best is None or variety > best[0]):
                best = (variety, read_sample(root / row.shard, row), document)
            if read and scanned is None:
                scanned = read_sample(root / row.shard, row), read, document
        except FormatError:
            continue
    pages = []
    if best is not None:
        pages += [_block_page(best[1], best[2].pages[number]) for number in _various_pages(best[2])]
    if scanned is not None and (best is None or scanned[2] is not best[2]):
        sample, read, document = scanned
        pages += [_block_page(sample, document.pages[number]) for number in _various_pages(document, read, 2)]
    return pages


def _block_page(sample: Sample, page: Page) -> dict[str, Any]:
    return {
        "number": page.number + 1,
        "picture": _data_url(page_with_blocks(sample.images[page.number], page), "jpeg"),
        "kinds": sorted({block.kind for block in page.blocks}),
        "source": "read by OCR" if page.status == "ocr" else "",
    }
