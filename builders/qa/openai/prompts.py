"""The prompts: readable files with a version each, filled in; a changed file is another key for every reply."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import jinja2
import yaml

from ...seeding import stable_int

NAMES = ("rules", "extract_single", "extract_multi", "reasoning", "answer", "judge", "paraphrase")

TASKS = {
    "extract_single": "a single fact on a single page",
    "extract_multi": "facts gathered from at least two pages",
    "reasoning": "an answer worked out from at least two data points",
}


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt file. ``version`` is ``NAME/N-HASH``: the number that the file states, and a hash of what it says."""

    name: str
    version: str
    text: str

    def fill(self, **values: Any) -> str:
        """The text with its placeholders filled in. Text of a document is never given to a template."""
        environment = jinja2.Environment(
            undefined=jinja2.StrictUndefined, autoescape=False, keep_trailing_newline=False
        )
        return environment.from_string(self.text).render(**values).strip()


@lru_cache(maxsize=32)
def prompt(name: str) -> Prompt:
    """The prompt of a name."""
    source = _file(f"{name}.md")
    head, _, text = source.partition("\n\n")
    label, _, number = head.partition(":")
    if label != "version" or not number.strip().isdecimal():
        raise ValueError(f"prompts/{name}.md: must begin with 'version: N' and an empty line")
    return Prompt(name, f"{name}/{number.strip()}-{_hash(source)}", text.strip())


@lru_cache(maxsize=1)
def exemplars() -> list[dict[str, Any]]:
    """The pool of examples: ``kind``, ``pages`` and ``reply``."""
    pool: list[dict[str, Any]] = yaml.safe_load(_file("exemplars.yaml"))
    return pool


def rules(*key: object) -> tuple[str, str]:
    """The system rules with two exemplars of different kinds, chosen by a hash of ``key``. Returns (text, version)."""
    pool = sorted(range(len(exemplars())), key=lambda number: stable_int("exemplar", number, *key))
    first = exemplars()[pool[0]]
    second = next(exemplars()[n] for n in pool if exemplars()[n]["kind"] != first["kind"])
    shown = [
        {
            "task": TASKS[exemplar["kind"]],
            "pages": exemplar["pages"].strip(),
            "reply": json.dumps(exemplar["reply"], ensure_ascii=False),
        }
        for exemplar in (first, second)
    ]
    found = prompt("rules")
    return found.fill(exemplars=shown), f"{found.version}+{_hash(_file('exemplars.yaml'))}"


def copies_example(question: str) -> bool:
    """Whether a question is that of an example, give or take a word and all numbers: small models copy them."""
    words = _words(question)
    others = [_words(exemplar["reply"]["question"]) for exemplar in exemplars()]
    return any(len(words & other) >= 0.75 * len(words | other) for other in others)


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[^\W\d_]+", text.casefold()))


@lru_cache(maxsize=1)
def fingerprint() -> str:
    """A hash of all prompts: another one gives another dataset."""
    return _hash("".join(prompt(name).version for name in NAMES) + _file("exemplars.yaml"))


def _file(name: str) -> str:
    return resources.files(__package__).joinpath("prompts", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
