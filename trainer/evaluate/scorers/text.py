"""What scorers share: edit similarity, words, numbers and lists found in a model's text. Nothing is ever evaluated."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter

from mmprolong_data.errors import missing_extra

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_QUOTED = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^,'"\[\]]+))\s*(?:,|$)""")


def similarity(a: str, b: str) -> float:
    """Normalised Levenshtein similarity: 1 - distance / the longer length; 1 for two empty texts.

    Raises:
        MMProLongError: rapidfuzz is not installed.
    """
    try:
        from rapidfuzz.distance import Levenshtein
    except ImportError:
        raise missing_extra("rapidfuzz", "evaluate") from None
    return float(Levenshtein.normalized_similarity(a, b))


def anls(gold: str, prediction: str, threshold: float = 0.5) -> float:
    """Average normalised Levenshtein similarity (Biten et al. 2019): ``similarity``, 0 where it is not above 0.5."""
    value = similarity(gold, prediction)
    return value if value > threshold else 0.0


def words_of(text: str) -> list[str]:
    """SQuAD's normal form: lower case, no ASCII punctuation, no English articles."""
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def word_f1(gold: str, prediction: str) -> float:
    """F1 of the bags of words (SQuAD)."""
    wanted, found = words_of(gold), words_of(prediction)
    common = sum((Counter(wanted) & Counter(found)).values())
    return 2 * common / (len(wanted) + len(found)) if common else 0.0


def parse_list(text: str) -> list[str] | None:
    """The items of a list in JSON or in Python's notation, as strings; None where the text is no such list.

    Items that are themselves lists or objects become their values, joined by hyphens.
    """
    text = text.strip()
    if not (text.startswith("[") and text.endswith("]")):
        return None
    try:
        items = json.loads(text)
    except (ValueError, RecursionError):
        return _python_list(text[1:-1])
    return [_plain(item) for item in items]


def _python_list(body: str) -> list[str] | None:
    items, position = [], 0
    while position < len(body) and body[position:].strip():
        match = _QUOTED.match(body, position)
        if match is None:
            return None
        double, single, bare = match.groups()
        item = next(part for part in (double, single, bare) if part is not None)
        items.append(re.sub(r"\\(.)", r"\1", item) if bare is None else item.strip())
        position = match.end()
    return items


def _plain(item: object) -> str:
    if isinstance(item, dict):
        return "-".join(map(_plain, item.values()))
    if isinstance(item, list):
        return "-".join(map(_plain, item))
    return item if isinstance(item, str) else json.dumps(item)


def folded(text: str) -> str:
    """NFKC, case folded, white space collapsed: for comparing what was read off a page."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def final_answer(text: str) -> str:
    """The part of a reply that answers: what follows the last ``Answer:``, without bold marks, quotes, final stop."""
    found = re.split(r"(?i)\banswer\s*:", text)
    answer = found[-1].strip().replace("**", "")
    if len(answer) > 1 and answer[0] == answer[-1] and answer[0] in "\"'`":
        answer = answer[1:-1].strip()
    return answer[:-1].rstrip() if answer.endswith(".") and not answer.endswith("..") else answer
