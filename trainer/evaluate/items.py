"""Item: one question of a suite, as every reader makes it and every backend takes it; and the reader protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmprolong_data.errors import SettingsError
from mmprolong_data.settings import fingerprint

IMAGE = None
"""Stands in ``Item.parts`` where the next page goes."""

Part = str | None

Picture = bytes | memoryview
"""An encoded picture; a view where copying it would take longer than reading it."""


@dataclass(frozen=True, slots=True)
class Item:
    """One question.

    Attributes:
        key: Unique in the suite, stable.
        task: The row of the result table that it counts to.
        parts: What the model sees, in order: texts, and ``IMAGE`` for each page.
        pages: What identifies each page's picture (path, or document and page): they stand for it in ``fingerprint``.
        load: Reads the pictures' bytes (JPEG or PNG), one for each of ``pages``.
        question: The bare question.
        answer: The right answer; a list, or several that are right, as JSON.
        answer_format: String, Integer, Float, List or None (nothing answers it).
        scorer: Name of the scorer unless another one is asked for.
        length: Nominal length in tokens, or 0.
        depth: Place of the first evidence from 0 (start) to 1 (end); None if unknown.
        evidence: Positions in ``pages`` that hold the answer.
        chance: Expected score of a guess.
        max_tokens: Longest reply.
        prefill: How the assistant's turn begins; "" where the suite prescribes nothing.
        reference: What a model that knows everything says; "": the answer.
        groups: Further splits of the report, such as ``{"source": "Table"}``.
    """

    key: str
    task: str
    parts: tuple[Part, ...]
    pages: tuple[str, ...]
    load: Callable[[], Sequence[Picture]] = field(compare=False, repr=False)
    question: str
    answer: str
    answer_format: str = "String"
    scorer: str = "typed"
    length: int = 0
    depth: float | None = None
    evidence: tuple[int, ...] = ()
    chance: float = 0.0
    max_tokens: int = 128
    prefill: str = ""
    reference: str = ""
    groups: dict[str, str] = field(default_factory=dict)

    def fingerprint(self) -> str:
        """SHA-256 of what the model is asked: equal items are asked once."""
        return fingerprint([self.key, self.parts, self.pages, self.max_tokens, self.prefill])

    def perfect(self) -> str:
        """A reply that is right."""
        return self.reference or self.answer

    def messages(self) -> list[dict[str, Any]]:
        """The user's turn with typed parts, as ``mmprolong_data.chat.build_messages`` writes it."""
        content = [
            {"type": "image", "text": None} if part is IMAGE else {"type": "text", "text": part} for part in self.parts
        ]
        return [{"role": "user", "content": content}]


@dataclass(frozen=True, slots=True)
class Suite:
    """What is asked.

    Attributes:
        name: As in ``--suite``.
        items: In a fixed order.
        macro: How tasks make up the overall score: ``"tasks"`` (mean of the tasks' means), ``"items"`` (mean of all),
            or ``"families"`` (mean over what stands before a task's first hyphen, each the mean of its tasks).
        headline: Lengths whose mean is the overall score; empty: all lengths.
        drops_empty: The published rules leave empty replies out of the denominator; with ``--compat`` so do we.
        judged: Whether the published scores are a judge's.
        compat_scorer: Scorer of the published rules, "" if it is the same.
        notes: What a reader of the results should know.
        digest: Of the data that the items come from.
    """

    name: str
    items: Sequence[Item]
    macro: str = "tasks"
    headline: tuple[int, ...] = ()
    drops_empty: bool = False
    judged: bool = False
    compat_scorer: str = ""
    notes: tuple[str, ...] = ()
    digest: str = ""


def parse_length(text: str) -> int:
    """``8K`` -> 8192, ``1M`` -> 1048576, ``3000`` -> 3000.

    Raises:
        SettingsError: not a length.
    """
    value = text.strip().upper()
    factor = {"K": 1 << 10, "M": 1 << 20}.get(value[-1:], 1)
    digits = value[:-1] if factor > 1 else value
    if not digits.isdecimal() or not int(digits):
        raise SettingsError(f"{text!r} is no length. Remedy: write lengths as 8K,16K,128K (K = 1,024 tokens)")
    return int(digits) * factor


def parse_lengths(text: str) -> tuple[int, ...]:
    """``8K,16K`` -> (8192, 16384), ascending, each once.

    Raises:
        SettingsError: not lengths.
    """
    return tuple(sorted({parse_length(part) for part in text.split(",") if part.strip()}))


def length_name(length: int) -> str:
    """8192 -> ``8K``; 0 -> ``-``."""
    if length <= 0:
        return "-"
    for unit, size in (("M", 1 << 20), ("K", 1 << 10)):
        if length % size == 0:
            return f"{length // size}{unit}"
    return f"{length:,}"
