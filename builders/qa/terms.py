"""Finders of acronyms, definitions and footnotes."""

from __future__ import annotations

import re
from collections import Counter

from .finders import Body
from .places import Footnote, Term
from .text import fold, plain_text, sentences

_ACRONYM = re.compile(r"((?:[^\W\d_][\w'’-]*[ -]){1,8}[^\W\d_][\w'’-]*)\s\(([A-Z][A-Za-z]?[A-Z]{1,5}s?)\)")
_SHORT = re.compile(r"\s\([A-Z][A-Za-z]?[A-Z]{1,5}s?\)")
_SMALL_WORDS = "of the and for in on to a an de la le et und der des du with"
_SMALL = frozenset(_SMALL_WORDS.split(" "))


def _expansion(words: str, acronym: str) -> str:
    """The shortest tail of the words whose initials spell the acronym; "" if there is none."""
    letters = acronym.rstrip("s").upper()
    parts = re.split(r"[ -]", words)
    if not letters.isalpha() or len(letters) < 2:
        return ""
    for start in range(len(parts) - 1, -1, -1):
        tail = parts[start:]
        if "".join(p[0].upper() for p in tail if p) == letters:
            break
        wordy = [p for p in tail if p and p.casefold() not in _SMALL]
        if tail[0] in wordy and "".join(p[0].upper() for p in wordy) == letters:
            break
    else:
        return ""
    # Give the words back as printed, with their own spaces and hyphens.
    tail_length = sum(map(len, tail)) + len(tail) - 1
    return words[-tail_length:]


def find_acronyms(body: Body) -> list[Term]:
    """``Long Form (LF)`` with initials that fit; an acronym with two expansions is left out."""
    found = []
    for page, position, block in body:
        if block.kind not in ("paragraph", "list", "footnote") or not _SHORT.search(block.text):
            continue  # the long pattern alone would try every word
        for match in _ACRONYM.finditer(block.text.replace("\n", " ")):
            expansion = _expansion(match[1], match[2])
            if expansion:
                found.append(Term(page, position, match[2], expansion, f"{expansion} ({match[2]})"))
    meanings: dict[str, set[str]] = {}
    for term in found:
        meanings.setdefault(term.term, set()).add(fold(term.meaning))
    first: dict[str, Term] = {}
    for term in found:
        first.setdefault(term.term, term)
    return [term for name, term in first.items() if len(meanings[name]) == 1]


_DEFINITION = re.compile(
    r"(?:(?:An?|The term|The)\s+)?[\"“'‘]?(?P<term>[A-Za-z][\w'’-]*(?:\s[\w'’-]+){0,4}?)[\"”'’]?\s+"
    r"(?P<frame>is defined as|are defined as|is defined to be|refers to|stands for|is short for|denotes)\s+"
    r"(?P<meaning>[^\W\d_].{10,180})\.\Z"
)
_IS_A = re.compile(
    r"(?:An? (?P<generic>[a-zA-Z][\w-]*(?: [a-zA-Z][\w-]*){0,2}?)|(?P<name>[A-Z][\w-]{2,}))"
    r" is (?P<meaning>an? .{15,140})\.\Z"
)
"""``A valve is a ...``, ``TikZ is a ...``: a kind or a name, not a thing that the text spoke of before."""
_FRAME = re.compile(r"\b(?:defined|refers|stands|short for|denotes|is an?)\b")
_NO_TERM_WORDS = (
    "it this that these those which they he she we there here what each one if when but and or as since because"
    " although while so then thus hence however another note in on for at by with from all some any no both its their"
    " our my your of course following above latter former first second only main same other result problem reason case"
    " below next last"
)
_NO_TERM = re.compile(rf"(?:{'|'.join(_NO_TERM_WORDS.split())}|\w+ly|\w+ing)\b", re.IGNORECASE)
_NO_MEANING = re.compile(
    r"[;:]|, (?:but|and|so|while)\b|\ban? (?:bit|lot|must|problem|good|bad|pity|shame)\b|\b(?:this|it|they)\b"
)


def find_definitions(body: Body) -> list[Term]:
    """Whole sentences of the form ``A term is defined as meaning.`` or ``A term is a ...``; English only."""
    found = []
    for page, position, block in body:
        if block.kind not in ("paragraph", "list") or not _FRAME.search(block.text):
            continue
        for sentence in sentences(block.text.replace("\n", " ")):
            if not plain_text(sentence):
                continue
            match, kind = _DEFINITION.match(sentence), _IS_A.match(sentence)
            if match:
                term, meaning = match["term"], match["meaning"]
            elif kind and not _NO_MEANING.search(kind["meaning"]):
                term, meaning = kind["generic"] or kind["name"], kind["meaning"]
            else:
                continue
            if len(term) >= 3 and not _NO_TERM.match(term):
                found.append(Term(page, position, term, meaning, sentence))
    counts = Counter(fold(term.term) for term in found)
    return [term for term in found if counts[fold(term.term)] == 1]


_MARKER = re.compile(r"(\d{1,3}|[⁰¹²³⁴-⁹]{1,3})[.)]?\s*(?=[^\W\d_\s]|[\"“(])")
_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")


def find_footnotes(body: Body) -> list[Footnote]:
    """Footnotes with a number that is the only one of its kind on its page."""
    found = []
    for page, position, block in body:
        if block.kind != "footnote":
            continue
        text = " ".join(block.text.split())
        match = _MARKER.match(text)
        if match is None:
            continue
        note = text[match.end() :].strip()
        if 12 <= len(note) <= 240 and plain_text(note) and note[-1] in '.!?)”"' and note.count(" ") >= 2:
            found.append(Footnote(page, position, match[1].translate(_DIGITS), note))
    counts = Counter((note.page, note.marker) for note in found)
    return [note for note in found if counts[note.page, note.marker] == 1]
