"""Suite ``mmlongbench``: the authors' JSON lines, or the TSV files of VLMEvalKit (32K, 128K, 256K, 512K).

All five categories are read: long-document questions, needles (MM-NIAH, Visual Haystacks), visual RAG, many-shot
recognition and summaries. Lines of other files are counted and left out.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmprolong_data.errors import FormatError

from ..items import Item, Suite
from .files import Pictures, depth_of, last_number, list_or_text, parts_of, plain, read_jsonl, wanted
from .mmlongbench_tasks import (
    CLASS_PREFILL,
    CLASS_REPLY,
    SUMMARY_PREFILL,
    SUMMARY_REPLY,
    read_many_shot,
    summary_item,
    summary_of,
)

WHAT = (
    "a folder with documentQA/{longdocurl,mmlongdoc,slidevqa}_K{8,16,32,64,128}.jsonl (and NIAH/, vrag/, ICL/, summ/)"
    " and pictures in mmlb_image/, or a file MMLongBench_{32,128,256,512}K.tsv beside images/mmlb_image/"
)
HEADLINE = (64 << 10, 128 << 10)
REPLY = 128
PREFILL = "Answer:"
_CATEGORIES = {"documentqa": "DocVQA", "niah": "NIAH", "vrag": "VRAG", "icl": "ICL", "summ": "Summ"}
_ANSWER_LINE = "Write the answer in this form:\nAnswer: [answer]\n\n"
_DOCUMENT = (
    "Here are the pages of documents, and a question. Answer it as briefly as you can, with a phrase or one sentence."
    " If the documents do not answer it, write 'Not answerable.' "
) + _ANSWER_LINE
_INTERLEAVED = "Here are texts and images. Answer the question from them. " + _ANSWER_LINE
_CHOICE = "Here are texts and images. Answer the question from them with the letter of an option. " + _ANSWER_LINE
_HAYSTACK = "Here are images. Answer the question from them with Yes or No. " + _ANSWER_LINE
_RAG = "Answer the question about what the image shows, as briefly as you can, from the documents. " + _ANSWER_LINE


def read_mmlongbench(data: Path) -> Suite:
    """The suite.

    Raises:
        MMProLongError: no file of the wanted names.
        FormatError: a file is not of the published form, or a picture is missing.
    """
    tables = [data] if data.suffix == ".tsv" else sorted(data.glob("MMLongBench_*K.tsv"))
    kinds = (".json", ".jsonl")
    lines = sorted(data.rglob("*_K*.json*")) if data.is_dir() else ([data] if data.suffix in kinds else [])
    left_out: Counter[str] = Counter()
    root = data if data.is_dir() else data.parent
    around = [root, *list(root.parents)[:2]]
    folders = [base / name for base in around for name in (".", "mmlb_image", "images", "images/mmlb_image")]
    pictures = Pictures(folders, WHAT)
    items: list[Item] = []
    for path in lines:
        items += _from_lines(path, pictures, left_out)
    for path in tables if not lines else []:
        items += _from_table(path, pictures, left_out)
    if not items:
        raise wanted(data, WHAT)
    first = next((item for item in items if item.pages), None)
    if first is not None:
        pictures.find(first.pages[0])
    notes = tuple(f"{count} lines of {name} are left out: not read by this suite." for name, count in left_out.items())
    notes += ("Instructions are worded anew; the order of pages, labels and questions is the published one.",)
    return Suite("mmlongbench", items, headline=HEADLINE, drops_empty=True, judged=True, notes=notes)


def _from_lines(path: Path, pictures: Pictures, left_out: Counter[str]) -> Iterator[Item]:
    found = re.search(r"_K(\d+)", path.stem)
    length = int(found.group(1)) << 10 if found else 0
    name = path.stem[: found.start()] if found else path.stem
    if path.suffix == ".json":
        yield from read_many_shot(path, name, length, pictures, WHAT)
        return
    needed = ("summary", "image_list") if summary_of(name) else ("question", "answer")
    for number, line in enumerate(read_jsonl(path, needed, WHAT)):
        key = f"{path.stem}/{line.get('id', number)}"
        if summary_of(name):
            yield summary_item(key, name, length, line, pictures, WHAT)
        elif "page_list" in line:
            yield _document(key, name, length, line, pictures)
        elif name.startswith("vh_"):
            images = [c if isinstance(c, str) else c.get("image", c.get("text")) for c in line["ctxs"]]
            text = _HAYSTACK + "\n".join(["<image>"] * len(images)) + f"\n\nQuestion: {line['question']}"
            yield _item(key, name, length, text, images, line, pictures, scorer="yes-no", chance=0.5)
        elif "image_list" in line and "ctxs" in line:
            yield _needle(key, name, length, line, pictures)
        elif "ctxs" in line and "image" in line:
            context = "\n\n".join(f"Document (Title: {c.get('title', '')}): {c['text']}" for c in line["ctxs"])
            text = f"{_RAG}{context.replace('<image>', '<image >')}\n\nQuestion: <image>{line['question']}"
            yield _item(key, name, length, text, [line["image"]], line, pictures, "sub-em", category="VRAG")
        else:
            left_out[path.name] += 1


def _document(key: str, name: str, length: int, line: dict[str, Any], pictures: Pictures) -> Item:
    pages = [str(page) for page in line["page_list"]]
    document = str(line.get("doc_name", ""))
    labels = "\n\n".join(f"Document {Path(page).parent.name[:15]}: <image>" for page in pages)
    question = f"Based on Document {document[:15]}, answer the following question. {line['question']}"
    shift = 1 if name == "slidevqa" else 0  # SlideVQA's files count from 1
    numbers = {int(n) + shift for n in list_or_text(line.get("ans_page_list", [])) if isinstance(n, int)}
    evidence = tuple(
        position
        for position, page in enumerate(pages)
        if Path(page).parent.name == document and last_number(Path(page).stem.removeprefix(document)) in numbers
    )
    text = f"{_DOCUMENT}{labels}\n\nQuestion: {question}"
    answer_format = _format(line.get("answer_format"))
    return Item(
        key=key,
        task=name,
        parts=parts_of(text),
        pages=tuple(pages),
        load=pictures.loader(pages),
        question=question,
        answer=plain(line["answer"]),
        answer_format=answer_format,
        scorer="typed",
        length=length,
        depth=depth_of(evidence, len(pages)),
        evidence=evidence,
        max_tokens=REPLY,
        prefill=PREFILL,
        reference="Not answerable" if answer_format == "None" else "",
        groups={"category": "DocVQA"},
    )


def _needle(key: str, name: str, length: int, line: dict[str, Any], pictures: Pictures) -> Item:
    context = "\n\n".join(part if isinstance(part, str) else part["text"] for part in line["ctxs"])
    images, question, instruction = list(line["image_list"]), line["question"], _INTERLEAVED
    scorer, chance = "sub-em", 0.0
    if "counting" in name:
        scorer, images = "count-sum", images + list(line.get("needle_image_list") or [])
    elif line.get("choices_image"):
        options = list(line["choices_image"])
        question += "".join(f"\n{chr(65 + n)}. <image>" for n in range(len(options)))
        images, instruction, scorer, chance = images + options, _CHOICE, "choice", 1 / len(options)
    text = f"{instruction}{context}\n\nQuestion: {question}"
    return _item(key, name, length, text, images, line, pictures, scorer, chance)


def _item(
    key: str, name: str, length: int, text: str, images: list[Any], line: dict[str, Any], pictures: Pictures,
    scorer: str, chance: float = 0.0, category: str = "NIAH",
) -> Item:  # fmt: skip
    pages = tuple(map(str, images))
    answer = line["answer"]
    if scorer == "choice" and isinstance(answer, int):
        answer = chr(65 + answer)
    parts = parts_of(text)
    if sum(part is None for part in parts) != len(pages):
        raise FormatError(
            f"{key}: {len(pages)} pictures for {sum(p is None for p in parts)} image marks. Wanted: {WHAT}"
        )
    first = (answer[0] if isinstance(answer, list) else answer) if scorer == "sub-em" else answer
    return Item(
        key=key, task=name, parts=parts, pages=pages, load=pictures.loader(pages), question=str(line["question"]),
        answer=plain(answer), scorer=scorer, length=length, chance=chance, max_tokens=REPLY, prefill=PREFILL,
        reference=plain(first[0] if isinstance(first, list) and scorer == "sub-em" else first),
        answer_format=_format(line.get("answer_format")), groups={"category": category},
    )  # fmt: skip


def _from_table(path: Path, pictures: Pictures, left_out: Counter[str]) -> Iterator[Item]:
    found = re.search(r"_(\d+)K", path.stem)
    length = int(found.group(1)) << 10 if found else 0
    csv.field_size_limit(min(sys.maxsize, 1 << 30))
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream, delimiter="\t")
            missing = {"index", "question", "answer", "image_path", "task"} - set(reader.fieldnames or [])
            if missing:
                raise FormatError(f"{path}: lacks the columns {', '.join(sorted(missing))}. Wanted: {WHAT}")
            for row in reader:
                kind = _table_kind(row)
                if kind is None:
                    left_out[f"{path.name} {row['task']}"] += 1
                else:
                    yield _table_item(path, row, length, pictures, *kind)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"{path}: cannot be read ({error}). Wanted: {WHAT}") from None


def _table_kind(row: dict[str, str]) -> tuple[str, float] | None:
    """Scorer and chance of a row; None where it is not read."""
    source = row.get("source_dataset") or ""
    if row["task"] == "documentQA":
        return "typed", 0.0
    if row["task"] == "vrag":
        return "sub-em", 0.0
    if row["task"] == "NIAH":
        if source.startswith("vh_"):
            return "yes-no", 0.5
        if "counting" in source:
            return "count-sum", 0.0
        return ("choice", 0.25) if "image" in source else ("sub-em", 0.0)
    if row["task"].lower() == "icl":
        return "class-number", 0.0
    return ("rouge-lsum", 0.0) if row["task"].lower().startswith("summ") else None


def _table_item(path: Path, row: dict[str, str], length: int, pictures: Pictures, scorer: str, chance: float) -> Item:
    try:
        extra = json.loads(row.get("extra_info") or "{}")
    except ValueError:
        extra = {}
    pages = [str(page) for page in list_or_text(row["image_path"])] or [row["image_path"]]
    answer = extra.get("answer", row["answer"])
    if scorer == "choice" and isinstance(answer, int):
        answer = chr(65 + answer)
    parts = parts_of(row["question"])
    marks = sum(part is None for part in parts)
    if marks > len(pages):
        raise FormatError(f"{path}: row {row['index']} has {marks} image marks for {len(pages)} pictures")
    parts = (*([None] * len(pages)), *parts) if not marks else (*parts, *([None] * (len(pages) - marks)))
    first = answer[0] if isinstance(answer, list) and scorer == "sub-em" else answer
    answer_format = _format(extra.get("answer_format"))
    reply, prefill = {
        "class-number": (CLASS_REPLY, CLASS_PREFILL),
        "rouge-lsum": (SUMMARY_REPLY, SUMMARY_PREFILL),
    }.get(scorer, (REPLY, PREFILL))
    return Item(
        key=f"{path.stem}/{row['index']}", task=row.get("source_dataset") or row["task"], parts=parts,
        pages=tuple(pages), load=pictures.loader(pages), question=str(extra.get("question") or row["question"][-500:]),
        answer=plain(answer), answer_format=answer_format, scorer=scorer, length=length, chance=chance,
        max_tokens=reply, prefill=prefill, reference="Not answerable" if answer_format == "None" else plain(first),
        groups={"category": _CATEGORIES.get(row["task"].lower(), row["task"])},
    )  # fmt: skip


def _format(value: Any) -> str:
    names = {"str": "String", "int": "Integer", "float": "Float", "list": "List", "none": "None"}
    text = str(value or "String")
    return names.get(text.lower(), text if text in names.values() else "String")
