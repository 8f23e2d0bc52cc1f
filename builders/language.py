"""A guess at the language of a text, from its scripts and its most frequent words."""

from __future__ import annotations

import re
from collections import Counter

_STOP_WORDS = {
    "en": "the of and to in is that for it as with are on this be by or at from which have not can an was will we",
    "fr": "le la les des et du une est dans pour que qui sur par avec pas ce sont au plus aux cette ou se ne il nous",
    "de": "der die das und ist von den mit zu im nicht ein eine auf dem für wird des auch sich werden als oder bei aus",
    "es": "el la los las que en del un una por con para se es al como su más no lo sus este entre está son pero",
    "it": "il di che la per un una non con del della sono nel si gli dei le da come alla più anche questo nella ed",
    "pt": "que do da em um uma para com não os no na as dos se por mais ao das como são pelo ou ser pela também",
    "nl": "de het een van en in is dat op te zijn met voor niet die er aan door ook als bij wordt naar uit kan om deze",
    "ru": "не на что по для это как из от при или же то так его но мы если может можно также только",
}
_LATIN = "et est qui ut ex sed ad cum quae quod quam quia aut enim eius sit nisi nec ipsum dolor atque esse autem ab"
"""Filler text shares ``et``, ``est`` and ``qui`` with French."""
_WORDS = {language: frozenset(words.split()) for language, words in _STOP_WORDS.items()}

_KANA = re.compile(r"[\u3040-\u30ff\uff66-\uff9d]")
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_HANGUL = re.compile(r"[\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]")
_TOKEN = re.compile(r"[^\W\d_\u1100-\u11ff\u3040-\u30ff\u3130-\u318f\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]+")

LEAST_WORDS = 20
"""Fewer words than this tell nothing."""
LEAST_SHARE = 0.06
"""Least share of a language's frequent words; running text has 20 to 45 %, less where code or formulas stand in it."""
LEAST_LEAD = 1.3
"""The best language has this many times the frequent words of the second."""


def guess_language(text: str) -> str:
    """ISO 639-1 code of a text: en, fr, de, es, it, pt, nl, ru, zh, ja or ko, or ``und`` where it cannot be told."""
    kana, han, hangul = (len(pattern.findall(text)) for pattern in (_KANA, _HAN, _HANGUL))
    words = [word for word in _TOKEN.findall(text.casefold()) if len(word) > 1]  # x and y are no Spanish
    # Papers and manuals quote English and code: East Asian text need not prevail, only be there in quantity.
    if kana + han + hangul > max(LEAST_WORDS, len(words) // 2):
        if hangul > kana + han:
            return "ko"
        return "ja" if kana > 0.1 * (kana + han) else "zh"
    if len(words) < LEAST_WORDS:
        return "und"
    often = Counter(words)
    counts = {language: sum(often[word] for word in known & often.keys()) for language, known in _WORDS.items()}
    best, second = sorted(counts, key=lambda language: (-counts[language], language))[:2]
    if best == "fr" and sum(often[word] for word in _LATIN.split()) >= counts["fr"]:
        return "und"
    if counts[best] < LEAST_SHARE * len(words) or counts[best] < LEAST_LEAD * counts[second]:
        return "und"
    return best
