"""What a question has to name for its proof to answer it: the field's key, the row and column, the label ..."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .text import fold

_MARKS = str.maketrans("", "", "\"'“”‘’`.,;:")
_BY_HEADER = ("column_argmax", "column_argmin", "column_sum", "column_mean", "column_range", "column_count")


def not_asked(proof: Mapping[str, Any], question: str) -> str:
    """The first thing that the proof stands on and the question does not name; "" if it names all."""
    bare = _bare(question)
    return next((text for text in _names(proof) if _bare(text) not in bare), "")


def _bare(text: str) -> str:
    return " ".join(fold(text).translate(_MARKS).split())


def _names(proof: Mapping[str, Any]) -> Iterator[str]:
    """Texts of the question, without those of the answer."""
    operation = proof.get("operation", "")
    if "pick" in proof:
        yield str(proof["pick"])  # the section whose parts are asked for: the parts themselves are the answer
        return
    if operation in ("count", "labels", "sections", "section_count"):
        return
    if "operands" in proof:
        for operand in proof["operands"]:
            if operation == "under" and operand["operation"] == "heading":
                continue
            if operand["operation"] == "caption":
                yield str(operand["label"])
            elif operation in ("order", "page_gap", "page_numbers"):
                yield str(operand["value"])
            else:
                yield from _names(operand)
    elif operation == "field":
        yield proof["key"]
    elif operation == "cloze":
        yield from (proof["before"], proof["after"])
    elif operation == "cell":
        yield from (proof["row"][0], proof["header"][proof["column"]])
    elif operation == "caption":
        yield proof["label"]
    elif operation in ("caption_label", "place"):
        yield proof["value"]
    elif operation in ("list_item", "list_length"):
        yield proof["lead"]
    elif operation in ("term_pages", "term_count"):
        yield proof["term"]
    elif operation == "page_break":
        yield proof["begin"]
    elif operation == "phrase":
        yield from (str(proof[name]) for name in ("acronym", "term", "asked") if name in proof)
        if not any(name in proof for name in ("acronym", "term", "asked")):
            yield from (str(proof[name]) for name in ("before", "prefix") if proof.get(name))
    elif operation == "heading":
        yield from (str(proof[name]) for name in ("asked",) if name in proof)
    elif operation == "column_share":
        yield from (proof["header"][proof["column"]], proof["rows"][proof["index"]][0])
    elif operation in _BY_HEADER:
        yield proof["header"][proof["column"]]
