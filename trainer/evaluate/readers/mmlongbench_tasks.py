"""The tasks of MMLongBench that are no questions: many-shot recognition (ICL) and summaries of documents."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmprolong_data.errors import FormatError, MMProLongError

from ..items import Item
from ..probe.compose import stable_int
from .files import Pictures, parts_of

_RECOGNIZE = (
    "Each image below comes with the number of its class. Give the class of the last image, as these examples show it."
    ' Write "label: [number]" and nothing else.\n\n'
)
_SUMMARIES = {
    "gov": (
        "gov-report",
        "The pages below are a report of the U.S. Government Accountability Office. Summarize it in about 550 words and"
        " several paragraphs: why the study was done, what was found, and what is recommended, where it says so.\n\n",
        "Now summarize the report.",
    ),
    "lexsum": (
        "multi-lexsum",
        "The pages below are documents of a civil rights lawsuit. Summarize the case in one paragraph of 200 to 250"
        " words: background, parties and outcome.\n\n",
        "Now summarize the case.",
    ),
}
"""Begin of a file's name -> task, instruction, and what stands behind the pages."""
CLASS_REPLY, SUMMARY_REPLY = 128, 384
CLASS_PREFILL, SUMMARY_PREFILL = "label:", "Summary:"


def summary_of(name: str) -> str:
    """Task of a file of summaries by the begin of its name; "" if it is no such file."""
    return next((task for begin, (task, _, _) in _SUMMARIES.items() if name.startswith(begin)), "")


def read_many_shot(path: Path, name: str, length: int, pictures: Pictures, what: str) -> Iterator[Item]:
    """The items of ``ICL/NAME_K64.json``: all examples of one draw, then the image that is asked about.

    The published program draws examples and their order by chance; here both follow from a hash of the image.

    Raises:
        FormatError: the file is not of the published form.
        MMProLongError: it cannot be read.
    """
    try:
        domains = json.loads(path.read_bytes())
        for domain, data in domains.items():
            for number, example in enumerate(data["test_example"]):
                key = f"{path.stem}/{domain}/{number}"
                draws = data["exemplar_list"]
                rounds = draws[stable_int("draw", key) % len(draws)]
                shots = [shot for n, one in enumerate(rounds) for shot in _shuffled(one, f"{key} {n}")]
                yield _many_shot_item(key, name, length, shots, example, len(set(_labels(shots))), pictures)
    except OSError as error:
        raise MMProLongError(f"{path}: cannot be read ({error}). Wanted: {what}") from None
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, ZeroDivisionError) as error:
        raise FormatError(
            f"{path}: not of the published form ({type(error).__name__} {error}). Wanted: {what}"
        ) from None


def _many_shot_item(
    key: str, name: str, length: int, shots: list[dict[str, Any]], example: dict[str, Any], classes: int,
    pictures: Pictures,
) -> Item:  # fmt: skip
    examples = "\n\n".join(f"<image>\nlabel: {label}" for label in _labels(shots))
    pages = tuple(str(shot["image"]) for shot in [*shots, example])
    answer = str(int(example["answer"]))
    same = tuple(n for n, label in enumerate(_labels(shots)) if label == answer)
    return Item(
        key=key, task=name, parts=parts_of(f"{_RECOGNIZE}{examples}\n\nClass of this image: <image>"), pages=pages,
        load=pictures.loader(pages), question="Which class?", answer=answer, answer_format="Integer",
        scorer="class-number", length=length, evidence=same, chance=1 / max(1, classes), max_tokens=CLASS_REPLY,
        prefill=CLASS_PREFILL, groups={"category": "ICL"},
    )  # fmt: skip


def _labels(shots: list[dict[str, Any]]) -> list[str]:
    return [str(int(shot["id"])) for shot in shots]


def _shuffled(shots: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    return sorted(shots, key=lambda shot: stable_int("shot", key, shot["image"]))


def summary_item(key: str, name: str, length: int, line: dict[str, Any], pictures: Pictures, what: str) -> Item:
    """An item of ``summ/gov_K64.jsonl`` or ``summ/lexsum_K64.jsonl``.

    Raises:
        FormatError: it is not of the published form.
    """
    task, instruction, ask = next(values for begin, values in _SUMMARIES.items() if name.startswith(begin))
    try:
        summary = line["summary"]
        if not isinstance(summary, str):  # sections of a report
            sections = (f"{part['section_title']}:\n" + "\n".join(part["paragraphs"]) for part in summary)
            summary = "\n\n".join(sections)
        pages = tuple(map(str, line["image_list"]))
    except (KeyError, TypeError) as error:
        raise FormatError(
            f"{key}: not of the published form ({type(error).__name__} {error}). Wanted: {what}"
        ) from None
    labels = (f"Document {Path(page).parent.name[:15]} (page {_page_of(page)}): <image>" for page in pages)
    return Item(
        key=key, task=task, parts=parts_of(instruction + "\n\n".join(labels) + f"\n\n{ask}"), pages=pages,
        load=pictures.loader(pages), question=ask, answer=summary, scorer="rouge-lsum", length=length,
        max_tokens=SUMMARY_REPLY, prefill=SUMMARY_PREFILL, groups={"category": "Summ"},
    )  # fmt: skip


def _page_of(page: str) -> str:
    found = re.search(r"page[-_]?(\d+)", Path(page).name)
    return found.group(1) if found else "?"
