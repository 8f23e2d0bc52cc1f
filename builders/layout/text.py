"""Lines to reading text: end-of-line hyphens, CJK without spaces, ligatures, Unicode NFC."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st", "\u00ad": ""}
)
_HYPHENS = "-‐\u00ad"
_LAST_WORD = re.compile(r"([^\W\d_]+)[-‐\u00ad]\Z")
_FIRST_WORD = re.compile(r"[^\W\d_]+")
_COMPOUND = frozenset(
    re.findall(
        r"\w+",
        "all anti co counter cross ex extra first full half high inter intra long low mid multi non one over post "
        "pre pro pseudo quasi real second self semi short single sub super third three time top two ultra under "
        "user well",
    )
)
"""First parts that often keep their hyphen (English): kept when nothing in the document decides."""
_WORD = re.compile(r"[^\W\d_]{3,}(?:-[^\W\d_]{2,})*")


class Words:
    """The words that a document writes inside its lines; they decide whether a hyphen at a line's end stays."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._seen: set[str] = set()
        for text in texts:
            self._seen.update(_WORD.findall(text.casefold()))

    def __contains__(self, word: str) -> bool:
        return word.casefold() in self._seen

    def joined(self, first: str, second: str) -> bool:
        """Whether ``first-`` + ``second`` is one word that was broken, rather than a compound with its hyphen."""
        if f"{first}-{second}" in self:
            return first + second in self and len(first) <= 3
        if first + second in self:
            return True
        if not second.islower() or first.isupper():
            return False
        return first.casefold() not in _COMPOUND


def clean(text: str) -> str:
    """Unicode NFC without ligatures and soft hyphens."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", text.translate(_LIGATURES))


def is_cjk(char: str) -> bool:
    """Whether a character belongs to a script that is written without spaces (Han, kana, full-width forms)."""
    return (
        "\u3000" <= char <= "\u30ff"
        or "\u3400" <= char <= "\u4dbf"
        or "\u4e00" <= char <= "\u9fff"
        or "\uf900" <= char <= "\ufaff"
        or "\uff00" <= char <= "\uffef"
        or "\U00020000" <= char <= "\U0003ffff"
    )


def join_lines(lines: list[str], words: Words) -> str:
    """Lines of one paragraph as running text."""
    parts: list[str] = []
    for line in lines:
        if not line:
            continue
        if not parts:
            parts.append(line)
            continue
        before = parts[-1]
        last = before[-1]
        if last in _HYPHENS and len(before) > 1:
            left, right = _LAST_WORD.search(before), _FIRST_WORD.match(line)
            if left and right and words.joined(left.group(1), right.group()):
                parts[-1] = before[:-1]
            elif last == "\u00ad":
                parts[-1] = before[:-1] + "-"
            elif before[-2] in " -–" or not (left or before[-2].isalnum()):
                parts.append(" ")
        elif (is_cjk(last) and is_cjk(line[0])) or (last in "–—/" and before[-2:-1] not in ("", " ")):
            pass
        else:
            parts.append(" ")
        parts.append(line)
    return clean("".join(parts))
