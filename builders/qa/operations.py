"""What a proof claims, checked against the text of the pages: facts stand there alone, and computations come out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from .page_text import PageText, field_pattern
from .protocol import Answer
from .text import contains_words, fold, parse_date, parse_number, parse_quantity, squash

Proof = Mapping[str, Any]
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a fact: ``missing`` or ``rival`` with words for it; both empty if nothing is."""

    missing: str = ""
    rival: str = ""


def check_fact(proof: Proof, pages: Sequence[PageText], scope: Span) -> Finding:
    """Whether a single fact stands on its page, and no other value for it within the scope."""
    check = FACTS.get(proof["operation"])
    if check is None:
        return Finding(missing=f"unknown fact {proof['operation']!r}")
    if any(not 0 <= page < len(pages) for page in operand_pages(proof)):
        return Finding(missing="a page of the proof does not exist")
    return check(proof, pages, scope)


def _field(proof: Proof, pages: Sequence[PageText], scope: Span) -> Finding:
    pattern, value = field_pattern(proof["key"]), fold(proof["value"])
    stands = False
    for number in range(*scope):
        for line in pages[number].lines:
            match = pattern.search(line)
            if match is None:
                continue
            if match[1] != value:
                return Finding(rival=f"page {number}: {proof['key']!r} is also {match[1][:60]!r}")
            stands |= number == proof["page"]
    return Finding() if stands else Finding(missing=f"page {proof['page']} has no {proof['key']!r} with this value")


_DIGITS = re.compile(r"\d+(?:[.,]\d+)*")


def _cloze(proof: Proof, pages: Sequence[PageText], scope: Span) -> Finding:
    before, value, after = squash(proof["before"]), squash(proof["value"]), squash(proof["after"])
    stands = False
    for number in range(*scope):
        text = pages[number].squashed
        found = text.find(before)
        while found >= 0:
            match = _DIGITS.match(text, found + len(before))
            if match and text.startswith(after, match.end()):
                if match[0] != value:
                    return Finding(rival=f"page {number}: the same sentence has {match[0]}")
                stands |= number == proof["page"]
            found = text.find(before, found + 1)
    return Finding() if stands else Finding(missing=f"page {proof['page']} has no such sentence")


def _rows(header: Sequence[str], rows: Sequence[Sequence[str]], page: PageText) -> Finding:
    for cell in header:
        if not page.holds_row([cell]):
            return Finding(missing=f"no column {cell!r} on the page")
    for row in rows:
        if not page.holds_row(row):
            return Finding(missing=f"no row {row[0]!r} with these cells on the page")
    return Finding()


def _row_rival(row: Sequence[str], page: PageText) -> str:
    key, whole = fold(row[0]) + " ", fold(" ".join(row))
    for line in page.rows:
        if line.startswith(key) and squash(line) != squash(whole) and line.count(" ") == whole.count(" "):
            return f"another row begins with {row[0]!r}: {line[:60]!r}"
    return ""


def _cell(proof: Proof, pages: Sequence[PageText], scope: Span) -> Finding:
    page, row = pages[proof["page"]], proof["row"]
    found = _rows(proof["header"], [row], page)
    if found.missing:
        return found
    if not 0 < proof["column"] < len(row) or row[proof["column"]] != proof["value"]:
        return Finding(missing="the value is not the cell of this row and column")
    return Finding(rival=_row_rival(row, page))


def _caption(proof: Proof, pages: Sequence[PageText], scope: Span) -> Finding:
    label, title = fold(proof["label"]), squash(proof["value"])
    if squash(proof["label"]) not in pages[proof["page"]].squashed or title not in pages[proof["page"]].squashed:
        return Finding(missing=f"page {proof['page']} has no {proof['label']!r} with this caption")
    pattern = re.compile(rf"{re.escape(label)}\s*([.:|–-]?)\s*(.*)")
    starts = [(number, m) for number in range(*scope) for line in pages[number].lines if (m := pattern.match(line))]
    own = [
        m for number, m in starts if number == proof["page"] and m[2] and title.startswith(squash(m[2])[: len(title)])
    ]
    if not own:
        return Finding(missing=f"no line of page {proof['page']} begins with {proof['label']!r} and this caption")
    for number, match in starts:
        same = match[2] and title.startswith(squash(match[2])[: len(title)])
        if not same and match[2] and not match[2][0].isdigit() and match[1] == own[0][1] != "":
            return Finding(rival=f"page {number}: another caption of {proof['label']!r}: {match[2][:60]!r}")
    return Finding()


def _heading(proof: Proof, pages: Sequence[PageText], scope: Span) -> Finding:
    title, page = squash(proof["value"]), pages[proof["page"]]
    first = [line for line in page.lines if title.startswith(squash(line)) or squash(line).endswith(title)]
    if title not in page.squashed or not first:
        return Finding(missing=f"page {proof['page']} has no line with the heading {proof['value']!r}")
    return Finding()


def _phrase(proof: Proof, pages: Sequence[PageText], scope: Span) -> Finding:
    """A text that stands on its page word for word, after the words that the question quotes, if any."""
    page, before = pages[proof["page"]].squashed, squash(proof.get("before", ""))
    whole = squash(proof.get("prefix", "")) + before + squash(proof["value"])
    if whole not in page:
        return Finding(missing=f"page {proof['page']} does not hold this text")
    if before:
        for number in range(*scope):
            text = pages[number].squashed
            if text.count(before) > text.count(whole):
                return Finding(rival=f"page {number}: {proof['before'][:40]!r} goes on in another way")
    return Finding()


def _list(proof: Proof, pages: Sequence[PageText], scope: Span) -> Finding:
    """A list's items stand one after the other below the line that introduces it."""
    text, lead = pages[proof["page"]].squashed, squash(proof["lead"])
    if text.count(lead) != 1:
        return Finding(missing=f"{proof['lead'][:40]!r} does not stand once on page {proof['page']}")
    at = text.index(lead) + len(lead)
    for item in proof["items"]:
        needle = squash(item)
        found = text.find(needle, at)
        if found < 0 or found - at > 8:
            return Finding(missing=f"the item {item[:40]!r} does not follow on page {proof['page']}")
        at = found + len(needle)
    others = sum(pages[number].squashed.count(lead) for number in range(*scope)) - 1
    return Finding(rival=f"{proof['lead'][:40]!r} stands {others + 1} times in the scope" if others else "")


def _term(proof: Proof, pages: Sequence[PageText], scope: Span) -> Finding:
    """A word stands on the pages listed, and on no other page of the scope, not even inside a longer word."""
    word = fold(proof["term"])
    for number in range(*scope):
        page = pages[number]
        if number in proof["pages"]:
            if not contains_words(page.folded, word):
                return Finding(missing=f"page {number} does not hold {word!r}")
        elif squash(word) in page.squashed:
            return Finding(rival=f"page {number} holds {word!r}, too")
    return Finding()


FACTS: dict[str, Callable[[Proof, Sequence[PageText], Span], Finding]] = {
    "field": _field,
    "cloze": _cloze,
    "cell": _cell,
    "caption": _caption,
    "caption_label": _caption,
    "heading": _heading,
    "list_item": _list,
    "list_length": _list,
    "term_pages": _term,
    "term_count": _term,
    "phrase": _phrase,
}


def operand_pages(proof: Proof) -> list[int]:
    """The pages that a proof stands on, ascending."""
    if "operands" in proof:
        return sorted({page for operand in proof["operands"] for page in operand_pages(operand)})
    if "pages" in proof:
        return sorted(proof["pages"])
    return [proof["page"]]


def _numbers(values: Sequence[str], english: bool) -> list[Decimal] | str:
    """The values as numbers of one unit, or why they are none."""
    parsed = [parse_quantity(value, english) for value in values]
    numbers = [quantity for quantity in parsed if quantity is not None]
    if len(numbers) < len(values):
        return "an operand is no number"
    if len({unit for _, unit in numbers}) > 1:
        return f"units differ: {sorted({unit for _, unit in numbers})}"
    return [value for value, _ in numbers]


def recompute(proof: Proof, pages: Sequence[PageText], scope: Span, english: bool) -> Answer | Decimal | None:
    """The answer that follows from a proof whose facts were checked; None if the proof does not give one.

    Raises:
        ValueError: saying why the computation cannot be done.
    """
    operation = proof["operation"]
    if operation in _OF_FACT:
        return _OF_FACT[operation](proof)
    if operation in FACTS:
        return None if operation == "cloze" and parse_number(proof["value"], english) is None else str(proof["value"])
    if operation in _OVER_PLACES:
        return _OVER_PLACES[operation](proof["operands"])
    if operation in _OVER_FACTS:
        return _OVER_FACTS[operation]([str(operand["value"]) for operand in proof["operands"]], english)
    if operation in _OVER_COLUMN:
        values = _numbers([row[proof["column"]] for row in proof["rows"]], english)
        if isinstance(values, str):
            raise ValueError(values)
        return _OVER_COLUMN[operation]([row[0] for row in proof["rows"]], values, proof)
    raise ValueError(f"unknown operation {operation!r}")


def check_table(proof: Proof, pages: Sequence[PageText]) -> Finding:
    """Whether all rows of a column's proof stand on the page, and no other line between them."""
    page = pages[proof["page"]]
    found = _rows(proof["header"], proof["rows"], page)
    if found.missing:
        return found
    wanted = [squash("".join(row)) for row in proof["rows"]]
    places = [next((i for i, line in enumerate(page.squashed_rows) if row in line), -1) for row in wanted]
    if -1 not in places:
        if places != sorted(set(places)):
            return Finding(rival="the rows do not stand below one another in this order")
        between = range(places[0], places[-1] + 1)
        extra = [page.rows[i] for i in between if i not in places]
        if extra:
            return Finding(rival=f"a line between the rows is no row: {extra[0][:60]!r}")
    for row in proof["rows"]:
        rival = _row_rival(row, page)
        if rival:
            return Finding(rival=rival)
    return Finding()


def _quantities(values: Sequence[str], english: bool) -> list[Decimal]:
    numbers = _numbers(values, english)
    if isinstance(numbers, str):
        raise ValueError(numbers)
    return numbers


def _days(values: Sequence[str]) -> Decimal:
    dates = [parse_date(value) for value in values]
    if len(dates) != 2 or dates[0] is None or dates[1] is None:
        raise ValueError("an operand is no date")
    return Decimal(abs((dates[0] - dates[1]).days))


def _two(values: Sequence[Decimal]) -> Decimal:
    if len(values) != 2:
        raise ValueError("a difference has two operands")
    return abs(values[0] - values[1])


_OVER_FACTS: dict[str, Callable[[Sequence[str], bool], Answer | Decimal]] = {
    "collect": lambda values, english: list(values),
    "count": lambda values, english: len(values),
    "sum": lambda values, english: sum(_quantities(values, english), Decimal(0)),
    "difference": lambda values, english: _two(_quantities(values, english)),
    "days": lambda values, english: _days(values),
    "largest": lambda values, english: max(_quantities(values, english)),
    "smallest": lambda values, english: min(_quantities(values, english)),
}


_OF_FACT: dict[str, Callable[[Proof], Answer]] = {
    "caption_label": lambda proof: str(proof["label"]),
    "heading": lambda proof: str(proof.get("number") or proof["value"]),
    "list_item": lambda proof: str(proof["items"][proof["index"]]),
    "list_length": lambda proof: len(proof["items"]),
    "term_pages": lambda proof: [str(page + 1) for page in proof["pages"]],
    "term_count": lambda proof: len(proof["pages"]),
}


def _in_order(operands: Sequence[Proof]) -> list[str]:
    return [str(operand["value"]) for operand in sorted(operands, key=lambda operand: operand["blocks"][0])]


def _gap(operands: Sequence[Proof]) -> int:
    if len(operands) != 2:
        raise ValueError("a distance has two operands")
    return abs(int(operands[0]["page"]) - int(operands[1]["page"]))


_OVER_PLACES: dict[str, Callable[[Sequence[Proof]], Answer]] = {
    "order": _in_order,
    "page_gap": _gap,
    "page_numbers": lambda operands: [str(operand["page"] + 1) for operand in operands],
    "labels": lambda operands: [str(operand["label"]) for operand in operands],
}


def _arg(keys: Sequence[str], values: Sequence[Decimal], best: Decimal) -> str:
    if values.count(best) != 1:
        raise ValueError("more than one row has this value")
    return keys[values.index(best)]


_OVER_COLUMN: dict[str, Callable[[Sequence[str], Sequence[Decimal], Proof], Answer | Decimal]] = {
    "column_argmax": lambda keys, values, proof: _arg(keys, values, max(values)),
    "column_argmin": lambda keys, values, proof: _arg(keys, values, min(values)),
    "column_sum": lambda keys, values, proof: sum(values, Decimal(0)),
    "column_mean": lambda keys, values, proof: sum(values, Decimal(0)) / len(values),
    "column_range": lambda keys, values, proof: max(values) - min(values),
    "column_count": lambda keys, values, proof: sum(value > Decimal(str(proof["threshold"])) for value in values),
}
