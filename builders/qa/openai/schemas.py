"""What replies have to look like: pydantic models that double as JSON schemas. Needs the extra ``openai``."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Source = Literal["Text", "Layout", "Figure", "Table"]
Operation = Literal[
    "none", "sum", "difference", "mean", "ratio", "percent_change", "count", "maximum", "minimum",
]  # fmt: skip


class _Reply(BaseModel):
    """All fields are required and no others allowed, as strict schemas want it."""

    model_config = ConfigDict(extra="forbid")


class Evidence(_Reply):
    """One place that an answer rests on; ``page`` as in its label."""

    page: int
    source: Source
    content: str


class Value(_Reply):
    """A data point of a computation, as printed."""

    page: int
    name: str
    value: str


class QuestionReply(_Reply):
    """A question with its answer and evidence. Pages are 1-based, as in their labels."""

    evidence: list[Evidence]
    operation: Operation
    values: list[Value]
    question: str
    answer: str | int | float | list[str]
    answer_format: Literal["String", "Integer", "Float", "List"]
    evidence_pages: list[int]
    evidence_sources: list[Source]


class AnswerReply(_Reply):
    """An answer to a question, from some pages or from none."""

    answerable: bool
    answer: str


class JudgeReply(_Reply):
    """What a judge thinks of a question and its answer."""

    reason: str
    correct: bool
    unique: bool
    clear: bool
    worthwhile: bool


class ParaphraseReply(_Reply):
    """A question in other words."""

    question: str
