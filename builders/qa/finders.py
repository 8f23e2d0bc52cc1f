"""Finders of captions, headings, fields and numbers in sentences. Each would rather miss a fact than make one up."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from ..blocks import Block
from .places import Caption, FieldFact, Heading, NumberFact
from .text import NUMBER, fold, parse_number, plain_text, sentences

Body = Iterable[tuple[int, int, Block]]

_TABLE = re.compile(r"(?:tab|табл|表|quadro|cuadro)", re.IGNORECASE)
_FIGURE = re.compile(r"(?:fig|abb|рис|图|圖|図|chart|photo|map|plate|bild|diagram|illustration)", re.IGNORECASE)
_SEPARATOR = re.compile(r"[\s:.。：|–—-]+")
MAX_TITLE = 160


def find_captions(body: Body) -> list[Caption]:
    """Captions of tables and figures. One title a label: two blocks of one label on a page are a mistake."""
    found = []
    for page, position, block in body:
        if block.kind != "caption" or not block.label or not block.text.startswith(block.label):
            continue
        kind = "table" if _TABLE.match(block.label) else "figure" if _FIGURE.match(block.label) else ""
        rest = block.text[len(block.label) :]
        separator = _SEPARATOR.match(rest)
        title = rest[separator.end() :].strip() if separator else ""
        if kind and 3 <= len(title) <= MAX_TITLE and plain_text(title) and "\n" not in title:
            found.append(Caption(page, position, kind, block.label.strip(), title))
    seen = Counter((caption.page, caption.label) for caption in found)
    return [caption for caption in found if seen[caption.page, caption.label] == 1]


def find_headings(body: Body) -> list[Heading]:
    """Headings of 3 to 100 characters that read like language."""
    return [
        Heading(page, position, block.level, block.text.strip())
        for page, position, block in body
        if block.kind in ("heading", "title")
        and 3 <= len(block.text.strip()) <= 100
        and "\n" not in block.text.strip()
        and plain_text(block.text)
    ]


_FIELD = re.compile(
    r"(?:[•·▪■*–-]\s+)?(?P<key>[A-ZÀ-ÞА-Я][^\s:.;,!?\"]*(?:\s[^\s:;,!?\"]+){0,4}?)\s?:\s+(?P<value>\S.{0,79})\Z"
)
_NO_KEY = re.compile(
    r"(?:note|notes|example|examples|warning|remark|theorem|lemma|proof|definition|step|usage|hint|tip|important|caution|nb|"
    r"question|answer|exercise|figure|table|fig|listing|source|see|input|output|beispiel|hinweis|achtung|exemple|attention"
    r"|remarque|keywords|abstract)\b",
    re.IGNORECASE,
)
_SECOND_KEY = re.compile(r"\w\s?[:：](?:\s|\Z)")
_CODE = re.compile(r"[\\{}<>=;|^~]|\.\.\.|\w\(\)|\A[-–—/.]+\Z")
REPEATED = 3
"""Pages on which a key that stands alone has to occur before it counts as a field."""


def _field(line: str) -> tuple[str, str] | None:
    match = _FIELD.match(line)
    if match is None:
        return None
    key, value = match["key"].strip(), match["value"].strip()
    if len(key) < 2 or len(key) > 40 or _NO_KEY.match(key) or not plain_text(key) or _CODE.search(value):
        return None
    if _SECOND_KEY.search(value) or value[-1] in ",-:(" or value.count("(") != value.count(")"):
        return None
    if not any(c.isalnum() for c in value):
        return None
    if value.endswith(".") and value.count(" ") > 5:
        return None  # a sentence: prose with a colon
    return key, value


def _runs(body: Body) -> Iterator[list[tuple[int, int, str, bool]]]:
    """Runs of consecutive lines that look like fields: (page, block, line, whether the block goes on below it)."""
    run: list[tuple[int, int, str, bool]] = []
    for page, position, block in body:
        if run and run[-1][0] != page:
            yield run
            run = []
        usable = block.kind in ("paragraph", "list")
        lines = block.lines if usable else [""]
        for number, line in enumerate(lines):
            if ": " in line and _FIELD.match(line):
                run.append((page, position, line, number + 1 < len(lines)))
            else:
                if run:
                    yield run
                run = []
    if run:
        yield run


def find_fields(body: Body) -> list[FieldFact]:
    """``Key: value`` lines: at least two below one another, or a key that several pages repeat.

    The last line of a run counts only if its block ends there, as its value might go on in the next line.
    """
    grouped: list[FieldFact] = []
    alone: list[FieldFact] = []
    blocks = list(body)
    first: dict[int, int] = {}
    for page, position, _ in blocks:
        first.setdefault(page, position)
    opening = set(first.items())
    for run in _runs(blocks):
        parsed = [(page, position, _field(line), goes_on) for page, position, line, goes_on in run]
        good = []
        for number, (page, position, pair, goes_on) in enumerate(parsed):
            if pair is not None and not (number + 1 == len(parsed) and goes_on):
                good.append(FieldFact(page, position, *pair))
        (grouped if len(run) > 1 and len(good) * 3 >= len(run) * 2 else alone).extend(good)
    # A line that opens its page is a title: "Australia: temperatures" on a slide.
    alone = [fact for fact in alone if (fact.page, fact.block) not in opening]
    pages: dict[str, set[int]] = {}
    for fact in [*alone, *grouped]:
        pages.setdefault(fact.key, set()).add(fact.page)
    grouped += [fact for fact in alone if len(pages[fact.key]) >= REPEATED]
    return sorted(grouped, key=lambda fact: (fact.page, fact.block))


_REFERENCE = re.compile(
    r"(?:figures?|fig\.?|tables?|tab\.?|sections?|sec\.?|§|chapters?|ch\.?|pages?|pp?\.?|equations?|eqs?\.?|theorem|lemma|"
    r"corollary|proposition|definition|example|exercise|listing|algorithm|appendix|version|v\.?|part|step|item|line|note|"
    r"footnote|abb\.?|abbildung|tabelle|abschnitt|kapitel|seite|gleichung|satz|teil|beispiel|chapitre|partie|tableau|"
    r"рис\.?|табл\.?|глава|стр\.?|с\.|no\.?|nr\.?|#|№|release|rfc|iso|volume|vol\.?|question|problem|level|type|class|"
    r"model|option|slide|lecture|rule|article|art\.?|assumption|case|remark|tabella|tabela|tabla|figura|quadro|capitolo|"
    r"cap[íi]tulo|sezione|seção|sección|página|pagina)\s*(?:[\d.]+(?:,\s[\d.]+)*,?\s(?:and|or|to|und|et|e|y)\s)?(?:\(|~)?\Z",
    re.IGNORECASE,
)
_CITATION = re.compile(r"[\[(][^\])]*\Z")
_NOT_AFTER = re.compile(r"[\])(+*/'’]|\.\w|\.\s+\S|\s?[)\]]")
_WORD = re.compile(r"[^\W\d_]{2,}")
_BEGIN = re.compile(r"[\"“'‘(]*[A-ZÀ-ÞА-Я]")
TERMINAL = re.compile(r"[.!?:…][\"”’')\]]*\Z")
_DIGIT = re.compile(r"\d")
_NEAR = re.compile(r"\d")  # one of a list, a range or a date


def find_numbers(body: Body, english: bool) -> list[NumberFact]:
    """Whole sentences of 40 to 220 characters around a number, of which they have at most four.

    Left out: references (``Table 3``, ``[12]``), formulas, code, and sentences that may have begun on another page.
    """
    found = []
    open_before = True  # whether the text before this block did not end its sentence
    for page, position, block in body:
        if block.kind != "paragraph":
            if block.kind in ("heading", "title"):
                open_before = False
            continue
        skip_first, open_before = open_before, TERMINAL.search(block.text) is None
        if not _DIGIT.search(block.text) or len(block.text) < 40:
            continue
        for number, sentence in enumerate(sentences(block.text)):
            if (number == 0 and skip_first) or not 40 <= len(sentence) <= 220 or not sentence.endswith("."):
                continue
            if _BEGIN.match(sentence) and plain_text(sentence) and not _GAPPY.search(sentence):
                found += [NumberFact(page, position, *parts) for parts in _gaps(sentence, english)]
    frames = Counter(fold(f"{fact.before}_{fact.after}") for fact in found)
    return [fact for fact in found if frames[fold(f"{fact.before}_{fact.after}")] == 1]


_GAPPY = re.compile(r"\.\.\.|…|___|\d{3} % ")  # the last one: numbered lines of a listing
MOST_NUMBERS = 4


def _gaps(sentence: str, english: bool) -> Iterator[tuple[str, str, str]]:
    """(before, number, after) of the numbers of a sentence that say how much or when; none where there are many."""
    numbers = list(NUMBER.finditer(sentence))
    if len(numbers) > MOST_NUMBERS or len(_WORD.findall(sentence)) < 6:
        return
    printed = Counter(match[0] for match in numbers)
    for match in numbers:
        before, after = sentence[: match.start()], sentence[match.end() :]
        if printed[match[0]] > 1 or _NEAR.search(before[-3:]) or _NEAR.search(after[:3]):
            continue
        if _REFERENCE.search(before) or _CITATION.search(before) or _NOT_AFTER.match(after):
            continue
        if parse_number(match[0], english) is not None:
            yield before, match[0], after
