"""Text helpers that fact finders and the verifier share: normal forms, numbers, dates, sentences."""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from decimal import Decimal
from functools import lru_cache

_FOLD = str.maketrans(
    {
        "‘": "'", "’": "'", "‚": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "–": "-", "—": "-", "‐": "-",
        "‑": "-", "−": "-", "\u00ad": None, "\u200b": None, "\u200c": None, "\u200d": None, "\ufeff": None,
    }
)  # fmt: skip

NUMBER = re.compile(r"(?<![\w.,'/:+−–-])[-−]?\d+(?:[,.]\d+)*(?![\w'/:]|[.,]\d|[-–−]\d)")
"""A number that stands alone: no part of a word, code, range, fraction, ratio, time or date."""

_UNIT = r"%|°C|°F|°|[A-Za-zµμ€£$Ωå]{1,4}[²³23]?(?:/[A-Za-z]{1,4}[²³23]?)?"
QUANTITY = re.compile(rf"(?P<sign>[-−]?)(?P<currency>[$€£]?)\s?(?P<number>\d+(?:[,.]\d+)*)(?:\s?(?P<unit>{_UNIT}))?\Z")
"""A number with at most one currency sign or unit, as a field's value or a table's cell."""

_ENGLISH = "january february march april may june july august september october november december"
_FRENCH = "janvier février mars avril mai juin juillet août septembre octobre novembre décembre"
_GERMAN = "januar februar märz april mai juni juli august september oktober november dezember"
_MONTHS = tuple(names.split(" ") for names in (_ENGLISH, _FRENCH, _GERMAN))
_MONTH = {name: number for names in _MONTHS for number, name in enumerate(names, 1)}
_MONTH |= {name[:3]: number for number, name in enumerate(_MONTHS[0], 1)} | {"sept": 9}
MONTHS = "|".join(sorted(_MONTH, key=len, reverse=True))
"""Names of months, lower case, for a pattern."""
DATE = re.compile(
    rf"\b(?:(?P<iso>\d{{4}}-\d{{2}}-\d{{2}})"
    rf"|(?P<day>\d{{1,2}})(?:st|nd|rd|th|er|\.)?\s+(?P<month>{MONTHS})\.?,?\s+(?P<year>\d{{4}})"
    rf"|(?P<us_month>{MONTHS})\.?\s+(?P<us_day>\d{{1,2}})(?:st|nd|rd|th)?,\s+(?P<us_year>\d{{4}}))(?![\w-])",
    re.IGNORECASE,
)
"""A full date that reads one way only: ISO 8601, or with the month's name."""


def tidy(text: str) -> str:
    """As printed, with plain quotes and dashes and single spaces: NFKC."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_FOLD)
    return " ".join(text.split())


def fold(text: str) -> str:
    """One normal form for comparisons: ``tidy``, case folded."""
    return tidy(text).casefold()


def squash(text: str) -> str:
    """``fold`` without any space and without hyphens: survives line ends and hyphenation."""
    return fold(text).replace(" ", "").replace("-", "")


def contains_words(haystack: str, needle: str) -> bool:
    """Whether folded ``needle`` stands in folded ``haystack``, not inside a longer word or number."""
    start = haystack.find(needle)
    while start >= 0:
        end = start + len(needle)
        before = haystack[start - 1] if start else " "
        after = haystack[end] if end < len(haystack) else " "
        inside_left = before.isalnum() and needle[0].isalnum() and not _wide(needle[0])
        inside_right = after.isalnum() and needle[-1].isalnum() and not _wide(needle[-1])
        number_left = needle[0].isdigit() and before in ".," and start > 1 and haystack[start - 2].isdigit()
        number_right = needle[-1].isdigit() and after in ".," and haystack[end + 1 : end + 2].isdigit()
        if not (inside_left or inside_right or number_left or number_right):
            return True
        start = haystack.find(needle, start + 1)
    return False


def _wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"


@lru_cache(maxsize=4096)
def parse_number(text: str, english: bool = True) -> Decimal | None:
    """The value of digits as printed, or None where the notation could mean two values.

    Point and comma swap roles between languages. ``1,234`` is 1234 in English text only; ``1.234`` is 1.234 in English
    text only; ``12.5`` and ``0.75`` are decimals everywhere; ``1,234,567`` has thousands separators everywhere. Digits
    with a leading zero are a code.
    """
    text = text.replace("−", "-")
    digits = text.lstrip("-")
    if re.match(r"0\d", digits):
        return None  # a code: 007 is not 7
    if digits.isdecimal() and digits.isascii():
        return Decimal(text)
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", digits):
        several = digits.count(",") > 1 or "." in digits
        return Decimal(text.replace(",", "")) if english or several else None
    if re.fullmatch(r"\d+\.\d+", digits):
        thousands = re.fullmatch(r"[1-9]\d{0,2}\.\d{3}", digits) is not None
        return Decimal(text) if english or not thousands else None
    if re.fullmatch(r"\d+,\d+", digits) and not english and re.fullmatch(r"[1-9]\d{0,2},\d{3}", digits) is None:
        return Decimal(text.replace(",", "."))
    return None


def parse_quantity(text: str, english: bool = True) -> tuple[Decimal, str] | None:
    """(value, unit) of a text that is a number with at most a currency sign or unit; else None."""
    match = QUANTITY.match(text.strip())
    if match is None:
        return None
    value = parse_number(match["sign"] + match["number"], english)
    if value is None or (match["currency"] and match["unit"]):
        return None
    return value, match["currency"] or match["unit"] or ""


def parse_date(text: str) -> date | None:
    """The date that the whole text is, or None."""
    match = DATE.fullmatch(text.strip())
    return match_date(match) if match else None


def match_date(match: re.Match[str]) -> date | None:
    """The date of a match of ``DATE``; None if there is no such day."""
    try:
        if match["iso"]:
            return date.fromisoformat(match["iso"])
        kind = "us_" if match["us_day"] else ""
        month = _MONTH[match[kind + "month"].casefold()]
        return date(int(match[kind + "year"]), month, int(match[kind + "day"]))
    except ValueError:
        return None


_ABBREVIATIONS = (
    "e.g|i.e|cf|vs|etc|fig|figs|tab|eq|eqs|sec|secs|no|nos|nr|vol|ch|chap|pp|p|ed|eds|dr|mr|mrs|ms|prof|st|jr|sr|inc|ltd|co"
    "|corp|al|approx|ca|resp|ref|refs|dept|est|min|max|jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec|bzw|z.b|d.h|u.a|vgl"
    "|abb|bd|s|hrsg|usw|ggf|evtl|abs|art|m|mm|mme"
)
_NOT_END = re.compile(rf"(?:\b(?:{_ABBREVIATIONS})|\b[A-Za-z]|\b(?:[A-Za-z]\.)+[A-Za-z])\Z", re.IGNORECASE)
_MEASURE = re.compile(r"\d\s?(?:m|mm|s|min|in)\Z")  # "8 mm." ends a sentence
_END = re.compile(r"[.!?][\"'”’)\]]*\s+(?=[\"'“‘(\[]*[A-ZÀ-ÞА-Я0-9])")


@lru_cache(maxsize=4096)
def sentences(text: str) -> tuple[str, ...]:
    """Sentences of running text in a Latin or Cyrillic script; careful with abbreviations and initials."""
    found, start = [], 0
    for match in _END.finditer(text):
        abbreviated = text[match.start()] == "." and _NOT_END.search(text, start, match.start())
        if abbreviated and not _MEASURE.search(text, start, match.start()):
            continue
        found.append(text[start : match.end()].strip())
        start = match.end()
    rest = text[start:].strip()
    return (*found, rest) if rest else tuple(found)


_SOUP = re.compile(
    r"[\\{}<>_^~|=@#´¨ˆ˜¸\ufffd\x00-\x1f\ue000-\uf8ff∑∫√∈∀∃≤≥≠±×÷⇒→←∞∂∇⊂⊆∪∩]|\s[*/+]\s|::|//|\(\)|\$\$|%%|[(,]\s*\)|[⁰¹²³⁴-⁹]\d"
)
_UNBALANCED = ("()", "[]", "“”")


def plain_text(text: str) -> bool:
    """Whether a text reads like language: no code, markup, formula, lost glyph or unpaired bracket."""
    if _SOUP.search(text) or not any(c.isalpha() for c in text):
        return False
    if text.count('"') % 2:
        return False
    return all(text.count(pair[0]) == text.count(pair[1]) for pair in _UNBALANCED)
