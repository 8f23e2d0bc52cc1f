"""Suites ``mm-niah`` (needles in interleaved texts and images) and ``vtcbench`` (texts rendered as pictures)."""

from __future__ import annotations

import functools
import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mmprolong_data.errors import FormatError

from ..items import Item, Suite
from .files import Pictures, parts_of, plain, read_jsonl, wanted
from .slidevqa_parquet import row_at

_NIAH = (
    "a folder with {retrieval,counting,reasoning}-{text,image}.jsonl of MM-NIAH (annotations/ is looked into too) and"
    " its pictures in images/"
)
_VTC = "the Parquet files of VTCBench-Wild: {Retrieval,Reasoning,Memory}-*.parquet with problem, answers and images"
NIAH_TASKS = tuple(f"{kind}-{form}" for kind in ("retrieval", "counting", "reasoning") for form in ("text", "image"))
NIAH_BINS = (1000, 2000, 4000, 8000, 12_000, 16_000, 24_000, 32_000, 40_000, 48_000, 64_000)
"""Lower bounds of the published length bins, in tokens."""
_INSTRUCTIONS = {
    "Retrieval": "The pictures above show a text. Answer the question from it, as briefly as you can. Question: ",
    "Reasoning": "The pictures above show a text with some facts hidden in it. Answer briefly. Question: ",
    "Memory": "The pictures above show conversations. Answer with a short phrase, in their words. Question: ",
}


def read_mm_niah(data: Path) -> Suite:
    """MM-NIAH: six tasks, eleven bins of length.

    Raises:
        MMProLongError: none of its files is there.
        FormatError: a file is not of the published form, or a picture is missing.
    """
    paths = [data] if data.is_file() else sorted(path for t in NIAH_TASKS for path in data.rglob(f"*{t}*.jsonl"))
    root = data if data.is_dir() else data.parent
    pictures = Pictures([root, root / "images", root.parent / "images", root.parent], _NIAH)
    items: list[Item] = []
    for path in dict.fromkeys(paths):
        task = next((name for name in NIAH_TASKS if name in path.stem), "")
        if not task:
            raise wanted(path, _NIAH)
        lines = read_jsonl(path, ("id", "images_list", "context", "question", "answer", "meta"), _NIAH)
        items += [_niah(f"{path.stem}/{line['id']}", task, line, pictures) for line in lines]
    if not items:
        raise wanted(data, _NIAH)
    first = next((item for item in items if item.pages), None)
    if first is not None:
        pictures.find(first.pages[0])
    notes = ("Lengths are the lower bounds of the published bins.",)
    return Suite("mm-niah", items, macro="families", notes=notes)


def _niah(key: str, task: str, line: dict[str, Any], pictures: Pictures) -> Item:
    meta, answer = line["meta"], line["answer"]
    images = [str(name) for name in line["images_list"]]
    question = str(line["question"])
    scorer, chance, text_answer = "sub-em", 0.0, plain(answer)
    texts, choices = meta.get("choices") or [], meta.get("choices_image_path") or []
    if isinstance(answer, int) and (texts or choices):
        options = choices or texts
        question += "".join(f"\n{chr(65 + n)}. {'<image>' if choices else options[n]}" for n in range(len(options)))
        question += "\nAnswer with the letter of an option alone."
        images += [str(name) for name in choices]
        scorer, chance, text_answer = "choice", 1 / len(options), chr(65 + answer)
    elif task.startswith("counting"):
        scorer = "positions"
        question += "\nAnswer with a JSON list of numbers alone."
    parts = parts_of(f"{line['context']}\n\n{question}")
    if sum(part is None for part in parts) != len(images):
        raise FormatError(f"{key}: {len(images)} pictures for the image marks of its context. Wanted: {_NIAH}")
    depths = meta.get("placed_depth")
    places = depths if isinstance(depths, list) else [depths]
    known = [float(place) for place in places if isinstance(place, (int, float))]
    bin_number = bisect_right(NIAH_BINS, int(meta.get("context_length") or 0)) - 1
    return Item(
        key=key, task=task, parts=parts, pages=tuple(images), load=pictures.loader(images), question=question,
        answer=text_answer, scorer=scorer, length=NIAH_BINS[max(0, bin_number)], chance=chance,
        depth=min(0.999, sum(known) / len(known)) if known else None,
        answer_format="List" if isinstance(answer, list) else "String",
    )  # fmt: skip


def read_vtcbench(data: Path) -> Suite:
    """VTCBench-Wild; memory questions are published with a judge (``--judge``), others with containsAll.

    Raises:
        MMProLongError: none of its files is there.
        FormatError: a file is not of the published form.
    """
    paths = [data] if data.suffix == ".parquet" else sorted(data.rglob("*.parquet"))
    items: list[Item] = []
    for path in paths:
        task = next((name for name in _INSTRUCTIONS if name.lower() in path.name.lower()), "")
        if task:
            items += _vtc(path, task)
    if not items:
        raise wanted(data, _VTC)
    notes = ("Memory is published with a judge; without --judge it is scored by containsAll.",)
    return Suite("vtcbench", items, macro="items", compat_scorer="contains-all", notes=notes)


def _vtc(path: Path, task: str) -> Iterator[Item]:
    try:
        file = pq.ParquetFile(path)
        names = set(file.schema_arrow.names)
        missing = {"problem", "answers", "images"} - names
        if missing:
            raise FormatError(f"{path}: lacks the columns {', '.join(sorted(missing))}. Wanted: {_VTC}")
        rows = file.read(columns=["problem", "answers"]).to_pylist()
        counts = [
            len(row["images"] or [])
            for group in range(file.num_row_groups)
            for row in file.read_row_group(group, columns=["images.list.element.path"]).to_pylist()
        ]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise FormatError(f"{path}: cannot be read ({error}). Wanted: {_VTC}") from None
    for number, (row, count) in enumerate(zip(rows, counts, strict=True)):
        answers = [str(answer) for answer in row["answers"]]
        asked = _INSTRUCTIONS[task] + str(row["problem"])
        yield Item(
            key=f"{path.stem}/{number}", task=task, parts=(*([None] * count), asked),
            pages=tuple(f"{path.stem}/{number}/{page}" for page in range(count)),
            load=functools.partial(_load_images, path, number), question=str(row["problem"]),
            answer=json.dumps(answers, ensure_ascii=False), scorer="contains-all", reference=", ".join(answers),
        )  # fmt: skip


def _load_images(path: Path, number: int) -> Sequence[bytes]:
    images: Any = row_at(path, number, ["images"])["images"]
    return [image["bytes"] for image in images]
