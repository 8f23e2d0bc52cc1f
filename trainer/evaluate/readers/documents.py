"""Suites ``mmlongbench-doc``, ``longdocurl`` and ``slidevqa``: questions about whole documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmprolong_data.chat import page_label
from mmprolong_data.errors import FormatError

from ..items import Item, Part, Suite
from .files import Pictures, depth_of, last_number, list_or_text, pages_below, plain, read_jsonl, wanted

_MMLB_DOC = (
    "samples.json of MMLongBench-Doc beside a folder pages/ (or documents/) with a folder of page pictures a document,"
    " such as pages/NAME/page-01.jpg: pdftoppm -r 144 -jpeg documents/NAME.pdf pages/NAME/page"
)
_LONGDOCURL = "LongDocURL.jsonl (or LongDocURL_public.jsonl) beside the page pictures that its field images names"
_SLIDEVQA = (
    "test.jsonl (or dev.jsonl, train.jsonl) of SlideVQA beside a folder images/ with a folder of slides a deck, or the"
    " Parquet files of its Hub release"
)
_FORMATS = {"Str": "String", "Int": "Integer", "None": "None", "Float": "Float", "List": "List"}
_ASK = "Answer as briefly as you can. If the document does not answer it, write 'Not answerable'."


def read_mmlongbench_doc(data: Path) -> Suite:
    """MMLongBench-Doc: 1,082 questions about 135 documents.

    Raises:
        MMProLongError: no samples.json.
        FormatError: it is not of the published form, or a document has no page pictures.
    """
    path = data / "samples.json" if data.is_dir() else data
    if not path.is_file():
        raise wanted(data, _MMLB_DOC)
    items = []
    needed = ("doc_id", "question", "answer", "answer_format", "evidence_pages", "evidence_sources")
    for number, line in enumerate(read_jsonl(path, needed, _MMLB_DOC)):
        name = Path(str(line["doc_id"])).name.removesuffix(".pdf")
        folder = _first_folder(path.parent, [f"{top}/{name}" for top in ("pages", "documents", "images")])
        if folder is None:
            raise FormatError(f"{path}: no page pictures of the document {name!r}. Wanted: {_MMLB_DOC}")
        files = pages_below(folder)
        evidence = [int(page) - 1 for page in list_or_text(line["evidence_pages"]) if isinstance(page, int)]
        sources = sorted(str(source) for source in list_or_text(line["evidence_sources"]))
        groups = {"source": " + ".join(sources) or "none", "document": str(line.get("doc_type", "unknown"))}
        groups["kind"] = (
            "unanswerable"
            if line["answer"] == "Not answerable"
            else ("one page" if len(evidence) == 1 else "cross-page")
        )
        answer_format = _FORMATS.get(str(line["answer_format"]), str(line["answer_format"]))
        items.append(
            _item(f"{number}", "mmlongbench-doc", path.parent, files, line, answer_format, evidence, groups, _MMLB_DOC)
        )
    return Suite("mmlongbench-doc", items, macro="items", compat_scorer="mmlb-doc")


def read_longdocurl(data: Path) -> Suite:
    """LongDocURL: 2,325 questions; the pictures that its ``images`` names, 30 pages around the evidence.

    Raises:
        MMProLongError: no file of the wanted name.
        FormatError: it is not of the published form, or pictures are missing.
    """
    path = data if data.is_file() else next(iter(sorted(data.glob("LongDocURL*.jsonl"))), data / "LongDocURL.jsonl")
    if not path.is_file() or path.suffix != ".jsonl":
        raise wanted(data, _LONGDOCURL)
    root = path.parent
    items = []
    needed = ("question_id", "question", "answer", "answer_format", "images", "evidence_pages")
    for line in read_jsonl(path, needed, _LONGDOCURL):
        files = [_by_tail(root, str(name)) for name in line["images"]]
        # Pages count from 1 in the file, pictures from 0.
        pages = {int(page) - 1 for page in list_or_text(line["evidence_pages"]) if isinstance(page, int)}
        numbers = [last_number(file.stem.removeprefix(str(line.get("doc_no", "")))) for file in files]
        evidence = [position for position, number in enumerate(numbers) if number in pages]
        groups = {"source": " + ".join(sorted(map(str, list_or_text(line.get("evidence_sources", []))))) or "none"}
        task = str(line.get("task_tag", "longdocurl"))
        answer_format = _FORMATS.get(str(line["answer_format"]), str(line["answer_format"]))
        items.append(
            _item(str(line["question_id"]), task, root, files, line, answer_format, evidence, groups, _LONGDOCURL)
        )
    return Suite("longdocurl", items, macro="items", compat_scorer="longdocurl-compat")


def read_slidevqa(data: Path) -> Suite:
    """SlideVQA: questions about decks of 20 slides; F1 of words (``--scorer em`` for exact match).

    Raises:
        MMProLongError: no file of the wanted name.
        FormatError: it is not of the published form, or a deck has no slides.
    """
    tables = sorted(data.rglob("*.parquet")) if data.is_dir() else ([data] if data.suffix == ".parquet" else [])
    if tables:
        from .slidevqa_parquet import read_tables

        return Suite("slidevqa", list(read_tables(tables, _SLIDEVQA)), macro="items", compat_scorer="em")
    names = ("test.jsonl", "dev.jsonl", "train.jsonl")
    path = data if data.is_file() else next((data / name for name in names if (data / name).is_file()), None)
    if path is None or path.suffix != ".jsonl":
        raise wanted(data, _SLIDEVQA)
    items = []
    for line in read_jsonl(path, ("deck_name", "qa_id", "question", "answer", "evidence_pages"), _SLIDEVQA):
        deck = Path(str(line["deck_name"])).name
        places = [deck, f"images/{deck}", f"images/{path.stem}/{deck}", f"{path.stem}/{deck}"]
        folder = _first_folder(path.parent, places)
        if folder is None:
            raise FormatError(f"{path}: no slides of the deck {deck!r}. Wanted: {_SLIDEVQA}")
        evidence = [int(page) - 1 for page in list_or_text(line["evidence_pages"])]
        groups = {"reasoning": str(line.get("reasoning_type", "unknown"))}
        files = pages_below(folder)
        items.append(
            _item(
                str(line["qa_id"]),
                "slidevqa",
                path.parent,
                files,
                line,
                "String",
                evidence,
                groups,
                _SLIDEVQA,
                "bag-f1",
            )
        )
    return Suite("slidevqa", items, macro="items", compat_scorer="em")


def _item(
    key: str, task: str, root: Path, files: list[Path], line: dict[str, Any], answer_format: str, evidence: list[int],
    groups: dict[str, str], what: str, scorer: str = "typed",
) -> Item:  # fmt: skip
    if not files:
        raise FormatError(f"{task} {key}: the document has no page pictures. Wanted: {what}")
    names = [file.relative_to(root).as_posix() for file in files]
    parts: list[Part] = []
    for page in range(len(files)):
        parts += [page_label(page), None]
    parts.append(f"{line['question']}\n{_ASK}")
    inside = tuple(page for page in evidence if 0 <= page < len(files))
    return Item(
        key=key, task=task, parts=tuple(parts), pages=tuple(names), load=Pictures([root], what).loader(names),
        question=str(line["question"]), answer=plain(line["answer"]), answer_format=answer_format, scorer=scorer,
        depth=depth_of(inside, len(files)), evidence=inside, groups=groups,
        reference="Not answerable" if answer_format == "None" else "",
    )  # fmt: skip


def _first_folder(root: Path, names: list[str]) -> Path | None:
    return next((root / name for name in names if (root / name).is_dir()), None)


def _by_tail(root: Path, name: str) -> Path:
    """The file below ``root`` that ends like the path in the data, whatever machine that was written on."""
    parts = [part for part in Path(name).parts if part not in ("/", "..", ".")]
    for start in range(len(parts)):
        for top in (root, root / "images", root / "pdf_pngs"):
            path = top.joinpath(*parts[start:])
            if path.is_file():
                return path
    raise FormatError(f"the picture {name!r} is missing below {root}. Wanted: {_LONGDOCURL}")
