"""Finders of sentences: those that can be completed, those that can be searched for, and those that turn a page."""

from __future__ import annotations

import re
from collections import Counter

from .finders import TERMINAL, Body
from .places import PageBreak, Quote
from .text import plain_text, sentences, squash

_PLAIN_WORDS = re.compile(r"[A-ZÀ-ÞА-Я][^\W\d_]*(?: [^\W\d_][^\W\d_’'-]*,?){13,29}\.\Z")
_INSIDE_WORD = re.compile(r"[^\W\d_][A-ZÀ-Þ]")


def find_sentences(body: Body) -> dict[int, list[tuple[int, str]]]:
    """Page -> (block, sentence) of sentences made of 14 to 30 words and commas only."""
    found: dict[int, list[tuple[int, str]]] = {}
    begins: Counter[str] = Counter()
    open_before = True
    for page, position, block in body:
        if block.kind != "paragraph":
            open_before = open_before and block.kind not in ("heading", "title")
            continue
        skip_first, open_before = open_before, TERMINAL.search(block.text) is None
        for number, sentence in enumerate(sentences(block.text)):
            whole = not (number == 0 and skip_first)
            if whole and _PLAIN_WORDS.match(sentence) and not _INSIDE_WORD.search(sentence):
                found.setdefault(page, []).append((position, sentence))
                begins[_begin(sentence)] += 1
    return {
        page: [entry for entry in entries if begins[_begin(entry[1])] == 1] for page, entries in sorted(found.items())
    }


def _begin(sentence: str) -> str:
    return " ".join(sentence.split(" ")[:4])


_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
_CJK_SENTENCE = re.compile(r"[^。！？]+[。！？]")
_BEGIN = re.compile(r"[\"“'‘(]*[A-ZÀ-ÞА-Я]")
_NO_QUOTE = re.compile(r"\.\.\.|…|___|https?:|www\.|@|[“”\"‹›⟨⟩¨´]|\w{3,}[.!?] |\[\d|\?\?|[⁰¹²³⁴-⁹]")


def find_quotes(body: Body) -> dict[int, list[Quote]]:
    """Page -> whole sentences of 50 to 240 characters (15 to 90 in Chinese and Japanese) that stand nowhere else."""
    found: list[Quote] = []
    open_before = True
    for page, position, block in body:
        if block.kind != "paragraph":
            open_before = open_before and block.kind not in ("heading", "title")
            continue
        wide = len(_CJK.findall(block.text[:200])) > 20
        skip_first, open_before = open_before, TERMINAL.search(block.text) is None
        least, most = (15, 90) if wide else (50, 240)
        parts = _cjk_sentences(block.text) if wide else sentences(block.text)
        before = ""
        for number, sentence in enumerate(parts):
            whole = not (number == 0 and skip_first) and least <= len(sentence) <= most
            if whole and _quotable(sentence, wide):
                found.append(Quote(page, position, sentence, before))
                before = sentence
            else:
                before = ""
    texts = Counter(squash(quote.text)[:40] for quote in found)
    pages: dict[int, list[Quote]] = {}
    for quote in found:
        if texts[squash(quote.text)[:40]] == 1:
            pages.setdefault(quote.page, []).append(quote)
    return pages


def _cjk_sentences(text: str) -> tuple[str, ...]:
    return tuple(match[0].strip() for match in _CJK_SENTENCE.finditer(text))


def _quotable(sentence: str, wide: bool) -> bool:
    if not plain_text(sentence) or _NO_QUOTE.search(sentence) or _INSIDE_WORD.search(sentence):
        return False
    if wide:
        return len(_CJK.findall(sentence)) * 3 >= len(sentence) * 2
    letters = sum(map(str.isalpha, sentence)) + sentence.count(" ")
    return _BEGIN.match(sentence) is not None and sentence[-1] == "." and letters >= 0.92 * len(sentence)


_LOWER = re.compile(r"[a-zà-ÿа-я]")
_PLAIN_PART = re.compile(r"[^\W\d_]+(?:[’'-][^\W\d_]+)*(?:,? [^\W\d_]+(?:[’'-][^\W\d_]+)*)*\Z")


def find_page_breaks(body: Body) -> list[PageBreak]:
    """Sentences that begin in the last paragraph of a page and end in the first one of the next.

    ``begin`` has 6 to 30 words, ``end`` 3 to 30; the rest of the sentence is plain words only, and no word is broken.
    """
    first: dict[int, tuple[int, str]] = {}
    last: dict[int, tuple[int, str]] = {}
    for page, position, block in body:
        text = block.text.strip() if block.kind == "paragraph" else ""
        first.setdefault(page, (position, text))
        if block.kind not in ("footnote", "figure"):
            last[page] = (position, text)
    found = []
    for page, (position, text) in last.items():
        below, next_text = first.get(page + 1, (0, ""))
        if not text or not next_text or TERMINAL.search(text) or not _LOWER.match(next_text):
            continue
        parts = sentences(text)
        begin, end = parts[-1], sentences(next_text)[0]
        if len(parts) < 2 and (len(text) < 60 or not _BEGIN.match(text)):
            continue
        if not (6 <= begin.count(" ") + 1 <= 30 and 3 <= end.count(" ") + 1 <= 30 and end.endswith(".")):
            continue
        end = end[:-1]
        if _BEGIN.match(begin) and _PLAIN_PART.match(begin.rstrip(",")) and _PLAIN_PART.match(end):
            found.append(PageBreak(page, position, below, begin, end))
    return found
