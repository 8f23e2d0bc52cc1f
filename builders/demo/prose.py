"""Prose from phrase banks: sentences and paragraphs dealt by a seeded hand, so that little repeats."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence

from ..seeding import stable_int

Bank = Mapping[str, Sequence[str]]
"""Slot name -> phrases. ``pattern`` holds whole sentences; any phrase may hold further slots in braces."""

_SLOT = re.compile(r"\{([^{}]+)\}")


class Writer:
    """Fills the templates of a bank.

    A slot is dealt like a card: no phrase comes twice before all have come once. ``{n:3-9}`` is a whole number of
    that range, ``{d:0.5-2.5}`` a number with one decimal.

    Args:
        bank: The phrases.
        parts: What the choices depend on (seed, document), see ``seeding.stable_int``.
    """

    def __init__(self, bank: Bank, *parts: object, decimal: str = ".") -> None:
        self.bank = bank
        self.random = random.Random(stable_int("demo", *parts))
        self._decimal = decimal
        self._decks: dict[str, list[str]] = {}

    def deal(self, key: str) -> str:
        """The next phrase of a slot, its own slots not yet filled."""
        deck = self._decks.get(key)
        if not deck:
            deck = list(self.bank[key])
            self.random.shuffle(deck)
            self._decks[key] = deck
        return deck.pop()

    def take(self, key: str, count: int) -> list[str]:
        """``count`` filled phrases of a slot, all different; the bank must have as many."""
        taken: dict[str, str] = {}
        while len(taken) < count:
            phrase = self.deal(key)
            if phrase not in taken:
                taken[phrase] = self.fill(phrase)
        return list(taken.values())

    def fill(self, template: str, **given: object) -> str:
        """Replace every slot, by what is given or by a phrase of the bank."""

        def replace(match: re.Match[str]) -> str:
            key = match[1]
            if key in given:
                return str(given[key])
            if key.startswith(("n:", "d:")):
                low, high = key[2:].split("-")
                return self.number(float(low), float(high), 1 if key[0] == "d" else 0)
            return self.fill(self.deal(key), **given)

        return _SLOT.sub(replace, template)

    def number(self, low: float, high: float, decimals: int = 0) -> str:
        """A number as text; whole ones from 1,000 on keep their digits together."""
        value = round(self.random.uniform(low, high), decimals)
        return f"{value:.{decimals}f}".replace(".", self._decimal)

    def sentence(self, **given: object) -> str:
        """One sentence from the slot ``pattern``, with a capital first letter."""
        text = self.fill("{pattern}", **given)
        return text[0].upper() + text[1:]

    def paragraph(self, least: int = 3, most: int = 6, lead: str = "", **given: object) -> str:
        """Sentences joined by spaces; ``lead`` (a sentence with a fact) comes first."""
        count = self.random.randint(least, most)
        sentences = [lead] if lead else []
        sentences += [self.sentence(**given) for _ in range(count)]
        return " ".join(sentences)


def grouped(value: float, decimals: int = 0, mark: str = ",", decimal: str = ".") -> str:
    """``12,345.6``: a number with its thousands marked."""
    text = f"{value:,.{decimals}f}"
    return text.replace(",", "\0").replace(".", decimal).replace("\0", mark)
