"""What a proof claims, checked against the text of the pages: its facts stand there, and no rival does."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .caption_proofs import check_caption
from .findings import Finding
from .page_text import PageText, field_pattern
from .text import contains_words, fold, squash

Proof = Mapping[str, Any]
Span = tuple[int, int]


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


def _heading(proof: Proof, pages: Sequence[PageText], scope: Span) -> Finding:
    title, page = squash(proof["value"]), pages[proof["page"]]
    first = [line for line in page.lines if title.startswith(squash(line)) or squash(line).endswith(title)]
    if title not in page.squashed or not first:
        return Finding(missing=f"page {proof['page']} has no line with the heading {proof['value']!r}")
    for number in range(*scope):
        if number != proof["page"] and title in _inner(pages[number]):
            return Finding(rival=f"page {number} has a line {proof['value'][:60]!r}, too")
    return Finding()


def _inner(page: PageText) -> list[str]:
    """The lines of a page without those at its edges, where running headers and footers repeat titles."""
    return page.squashed_rows[2:-2]


_HYPHENATED = re.compile(r"[^\W\d_]{2,}-[^\W\d_]{2,}")


def _broken_word(text: str, page: PageText) -> str:
    """A word of the text that was broken at a line's end: the page has it without its hyphen only."""
    for word in _HYPHENATED.findall(fold(text)):
        if word not in page.folded and contains_words(page.folded, word.replace("-", "")):
            return str(word)
    return ""


def _phrase(proof: Proof, pages: Sequence[PageText], scope: Span) -> Finding:
    """A text that stands on its page word for word, after the words that the question quotes, if any."""
    page, before = pages[proof["page"]].squashed, squash(proof.get("before", ""))
    whole = squash(proof.get("prefix", "")) + before + squash(proof["value"])
    if whole not in page:
        return Finding(missing=f"page {proof['page']} does not hold this text")
    broken = _broken_word(str(proof["value"]), pages[proof["page"]])
    if broken:
        return Finding(missing=f"{broken!r} was broken at a line's end")
    if before:
        for number in range(*scope):
            text = pages[number].squashed
            if text.count(before) > text.count(whole):
                return Finding(rival=f"page {number}: {proof['before'][:40]!r} goes on in another way")
    if "acronym" in proof:
        return _acronym_rival(proof, pages, scope)
    return Finding()


def _acronym_rival(proof: Proof, pages: Sequence[PageText], scope: Span) -> Finding:
    """``Other Words (LF)`` in the scope."""
    bracket, meaning = f"({squash(proof['acronym'])})", squash(proof["value"])
    for number in range(*scope):
        text = pages[number].squashed
        found = text.find(bracket)
        while found > 0:
            if text[found - 1].isalpha() and not text.endswith(meaning, 0, found):
                return Finding(rival=f"page {number}: {proof['acronym']!r} stands for something else, too")
            found = text.find(bracket, found + 1)
    return Finding()


def _place(proof: Proof, pages: Sequence[PageText], scope: Span) -> Finding:
    """A text that stands on its page and, as far as its beginning goes, on no other page of the scope."""
    text = squash(proof["value"])
    if text not in pages[proof["page"]].squashed:
        return Finding(missing=f"page {proof['page']} does not hold this text")
    begin = text[:40]
    for number in range(*scope):
        if number != proof["page"] and begin in pages[number].squashed:
            return Finding(rival=f"page {number} holds {proof['value'][:40]!r}, too")
    return Finding()


FAR_FROM_EDGE = 500
"""Most characters of footnotes and running lines between a page's edge and a sentence that turns it."""


def _page_break(proof: Proof, pages: Sequence[PageText], scope: Span) -> Finding:
    """A sentence that begins at the end of its page and ends at the top of the next."""
    first, second = proof["pages"]
    begin, end = squash(proof["begin"]), squash(proof["value"])
    upper, lower = pages[first].squashed, pages[second].squashed
    at, after = upper.rfind(begin), lower.find(end)
    if at < 0 or len(upper) - at - len(begin) > FAR_FROM_EDGE:
        return Finding(missing=f"page {first} does not end with {proof['begin'][:40]!r}")
    if after < 0 or after > FAR_FROM_EDGE:
        return Finding(missing=f"page {second} does not begin with {proof['value'][:40]!r}")
    others = sum(pages[number].squashed.count(begin) for number in range(*scope)) - 1
    return Finding(rival=f"{proof['begin'][:40]!r} stands {others + 1} times in the scope" if others else "")


def _list(proof: Proof, pages: Sequence[PageText], scope: Span) -> Finding:
    """A list's items stand one after the other below the line that introduces it."""
    text, lead = pages[proof["page"]].squashed, squash(proof["lead"])
    if text.count(lead) != 1:
        return Finding(missing=f"{proof['lead'][:40]!r} does not stand once on page {proof['page']}")
    at = text.index(lead) + len(lead)
    for item in proof["items"]:
        needle = squash(item)
        found = text.find(needle, at)
        if _broken_word(item, pages[proof["page"]]):
            return Finding(missing=f"a word of {item[:40]!r} was broken at a line's end")
        if found < 0 or found - at > 8:
            return Finding(missing=f"the item {item[:40]!r} does not follow on page {proof['page']}")
        at = found + len(needle)
    begins = [squash(item)[:20] for item in proof["items"]]
    apart = all(sum(begin in other for other in begins) == 1 for begin in begins)
    if apart and any(sum(begin in row for begin in begins) > 1 for row in pages[proof["page"]].squashed_rows):
        return Finding(rival="items stand side by side: there may be two lists")
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
    "caption": check_caption,
    "caption_label": check_caption,
    "heading": _heading,
    "list_item": _list,
    "list_length": _list,
    "term_pages": _term,
    "term_count": _term,
    "phrase": _phrase,
    "place": _place,
    "page_break": _page_break,
}


def operand_scope(operation: str, operand: Proof, scope: Span) -> Span:
    """Where an operand must have no rival: on its own page, which the question names, or in the whole scope."""
    whole = ("caption", "place", "term_pages") if operation not in _SEARCHED else ("caption", "place", "heading")
    return scope if operand["operation"] in whole else (operand["page"], operand["page"] + 1)


_SEARCHED = ("page_gap", "page_numbers")
"""Operations whose answer is where something stands."""


def operand_pages(proof: Proof) -> list[int]:
    """The pages that a proof stands on, ascending."""
    if "operands" in proof:
        return sorted({page for operand in proof["operands"] for page in operand_pages(operand)})
    if "pages" in proof:
        return sorted(proof["pages"])
    return [proof["page"]]


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
