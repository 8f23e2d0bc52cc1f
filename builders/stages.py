"""What a sandboxed child does with one document in the stages parse and qa, and the records that it returns."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import msgpack

from mmprolong_data import chat, vision
from mmprolong_data.settings import from_plain

from .blocks import Document
from .fit import fit_dpi
from .reasons import DocumentError
from .recipe import Recipe
from .seeding import stable_unit

CHECK_LETTERS = 300
"""Pages with fewer letters are not picked for a check of the text layer."""


def pack_record(value: Any) -> bytes:
    """A plain value as compressed msgpack."""
    return zlib.compress(msgpack.packb(value), 1)


def unpack_record(data: bytes) -> Any:
    """The inverse of ``pack_record``."""
    return msgpack.unpackb(zlib.decompress(data), strict_map_key=False)


def write_records(stream: BinaryIO, records: Iterable[dict[str, Any]]) -> None:
    """Write records one after the other; ``read_records`` reads them back."""
    for record in records:
        stream.write(msgpack.packb(record))


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a file that ``write_records`` wrote."""
    with path.open("rb") as stream:
        yield from msgpack.Unpacker(stream, max_buffer_size=0)


def parse_stage(payload: dict[str, Any]) -> dict[str, Any]:
    """Parse one PDF.

    Args:
        payload: As for ``layout.parse.parse_task``; with ``"route": {"check": share, "seed"}`` (an OCR engine is at
            hand) scanned pages are reported instead of being held against the document.

    Returns:
        ``{"document": packed Document}``; with ``route`` also ``pages``, their number, ``"scanned": {page: rule that
        fired}``, the ``trusted`` pages, and of those that chance picked for a check ``"texts": {page: its text}`` and
        ``"pictures": {page: boxes of images without text over them, as parts of its width and height}``.

    Raises:
        DocumentError: any reason code of opening and parsing, or ``needs_ocr``.
    """
    from .layout.parse import parse_task

    document = parse_task(payload)["document"]
    if "route" in payload:
        return {"document": pack_record(document)} | _route(document, **payload["route"])
    scanned = [page for page in document["pages"] if page["status"] == "needs_ocr"]
    if len(scanned) > payload["settings"]["max_scanned"] * len(document["pages"]):
        rules = sorted({page["status_reason"] for page in scanned})
        raise DocumentError("needs_ocr", f"{len(scanned)} of {len(document['pages'])} pages: {', '.join(rules)}")
    return {"document": pack_record(document)}


def _route(document: dict[str, Any], check: float, seed: int) -> dict[str, Any]:
    """Which pages have to be read, and which are picked for a check of the text layer, by hash."""
    pages = document["pages"]
    texts, pictures = {}, {}
    for page in pages:
        picked = page["status"] == "text" and stable_unit(seed, document["doc_id"], "ocr check", page["number"]) < check
        text = "\n".join(block["text"] for block in page["blocks"]) if picked else ""
        # Formulas and drawings have texts that no two readers agree on.
        if sum(map(str.isalpha, text)) >= max(CHECK_LETTERS, 0.6 * len("".join(text.split()))):
            texts[page["number"]] = text
            pictures[page["number"]] = _pictures(page)
    scanned = {page["number"]: page["status_reason"] for page in pages if page["status"] == "needs_ocr"}
    trusted = [page["number"] for page in pages if page["status"] == "text"]
    return {"pages": len(pages), "scanned": scanned, "trusted": trusted, "texts": texts, "pictures": pictures}


def _pictures(page: dict[str, Any]) -> list[list[float]]:
    """What stands in them is read, but no text layer has to have it; an image behind the text is another matter."""
    boxes = []
    texts = [block["box"] for block in page["blocks"] if block["text"]]
    for block in page["blocks"]:
        x0, y0, x1, y1 = block["box"]
        if block["kind"] == "figure" and not any(x0 < b[2] and b[0] < x1 and y0 < b[3] and b[1] < y1 for b in texts):
            boxes.append([x0 / page["width"], y0 / page["height"], x1 / page["width"], y1 / page["height"]])
    return boxes


def qa_stage(payload: dict[str, Any]) -> dict[str, Any]:
    """Make the questions, answers and transcriptions of one document, and the page sizes at which they all fit.

    Args:
        payload: ``{"path", "document": packed, "recipe": Recipe.content(), "configs", "info", "dpi": planned DPI,
            "benchmarks": path of the index of benchmarks that must not be contained, or ""}``; the file at ``path`` is
            read again, by another extractor, to check questions. ``"given"``, packed, where the stage ask has made the
            questions: see ``tasks.make_items``.

    Returns:
        ``{"record": packed {"items", "shortfalls", "rejected", "dpi", "sizes"}, "samples": number of items}``;
        ``sizes`` are ``[width, height]`` in pixels, multiples of 28, one a page; every item has ``num_tokens``.
    """
    from .qa.second_text import SecondText
    from .tasks import make_items

    document = Document.from_dict(unpack_record(payload["document"]))
    recipe = _recipe(json.dumps(payload["recipe"], sort_keys=True))
    configs: Sequence[str] = payload["configs"]
    shortfalls: dict[str, str] = {}
    if "ocr_full" in configs and any(page.status == "needs_ocr" for page in document.pages):
        configs = [config for config in configs if config != "ocr_full"]
        shortfalls["ocr_full"] = "scanned_pages"
    with SecondText(payload["path"], document) as pages:
        given = unpack_record(payload["given"]) if "given" in payload else None
        result = make_items(document, recipe, configs, payload["info"], pages, given)
    items = [item.to_dict() for item in result.items]
    shortfalls.update(result.shortfalls)
    items = _not_of_benchmarks(items, payload.get("benchmarks", ""), shortfalls)

    counter = _counter(recipe.tasks.tokenizer)
    for item in items:
        messages = chat.build_messages(item["question"], item["answer"], len(document.pages), recipe.tasks.page_labels)
        item["text_tokens"] = chat.count_tokens(messages, [0] * len(document.pages), counter)
    items, dpi = _fit(document, items, recipe, payload["dpi"], shortfalls)
    sizes = [vision.page_pixels(page.width, page.height, dpi, recipe.render.max_pixels) for page in document.pages]
    image_tokens = sum(vision.image_tokens(*size) for size in sizes)
    for item in items:
        item["num_tokens"] = item.pop("text_tokens") + image_tokens
        meta = {"dpi": dpi, "page_labels": recipe.tasks.page_labels, "tokenizer": counter.name}
        item["meta"] = json.dumps(json.loads(item["meta"]) | meta, sort_keys=True, ensure_ascii=False)
    record = {
        "items": items, "shortfalls": shortfalls, "rejected": result.rejected, "dpi": dpi, "sizes": sizes,
    }  # fmt: skip
    return {"record": pack_record(record), "samples": len(items)}


def _not_of_benchmarks(
    items: list[dict[str, Any]], index_path: str, shortfalls: dict[str, str]
) -> list[dict[str, Any]]:
    """The items whose question and answer do not contain the words of a benchmark's question."""
    if not index_path:
        return items
    from .benchmarks import open_benchmarks
    from .signatures import words_of

    index = open_benchmarks(index_path)
    kept = [item for item in items if not index.find_questions(words_of(f"{item['question']} {item['answer']}"))]
    for config in {item["config"] for item in items} - {item["config"] for item in kept}:
        shortfalls[config] = "benchmark"
    return kept


def _fit(
    document: Document,
    items: list[dict[str, Any]],
    recipe: Recipe,
    planned_dpi: int,
    shortfalls: dict[str, str],
) -> tuple[list[dict[str, Any]], int]:
    """Lower the DPI until the longest item fits; drop the longest where even ``render.min_dpi`` is not enough."""
    boxes = [(page.width, page.height) for page in document.pages]
    while items:
        longest = max(items, key=lambda item: (item["text_tokens"], item["id"]))
        dpi = fit_dpi(boxes, recipe, recipe.select.max_tokens - longest["text_tokens"], planned_dpi)
        if dpi:
            return items, dpi
        items = [item for item in items if item is not longest]
        if all(item["config"] != longest["config"] for item in items):
            shortfalls[longest["config"]] = "over_max_tokens"
    return items, planned_dpi


@lru_cache(maxsize=4)
def _recipe(text: str) -> Recipe:
    return from_plain(Recipe, json.loads(text))


@lru_cache(maxsize=4)
def _counter(tokenizer: str) -> chat.TokenCounter:
    return chat.open_counter(tokenizer)
