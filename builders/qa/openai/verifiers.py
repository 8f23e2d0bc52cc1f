"""Checks by models, in order of cost: closed book, evidence only, without evidence, rivals elsewhere, a judge."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmprolong_data.llm import Reply, Request
from mmprolong_data.llm.types import Message

from ...recipe import MODEL_CHECKS, Recipe
from ...seeding import stable_int
from .answers import same_answer
from .pages import DocumentPages
from .prompts import prompt
from .schemas import AnswerReply, JudgeReply

Ask = Callable[[Request], Awaitable[Reply]]
ANSWER_TOKENS = 1024


@dataclass(slots=True)
class ModelVerdict:
    """What the models think of one candidate.

    Attributes:
        failed: ``{"check", "reason"}`` of the first check that failed; empty if none did.
        checks: Names of the checks that passed.
        models: Check -> what was asked of which model and what it said; kept with the sample.
        one_page: A page (0-based) that alone answers a question that claims to need several; -1 if there is none.
    """

    failed: list[dict[str, str]] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    models: dict[str, Any] = field(default_factory=dict)
    one_page: int = -1


class ModelChecks:
    """Runs the checks that the recipe names.

    Args:
        recipe: The settings.
        ask: The client.
    """

    def __init__(self, recipe: Recipe, ask: Ask) -> None:
        self._recipe = recipe
        self._ask = ask

    async def check(self, candidate: dict[str, Any], pages: DocumentPages, english: bool, about: str) -> ModelVerdict:
        """Run the checks in order of their cost; the first failure ends them.

        Raises:
            Unanswered, EndpointError, BudgetReached, Draining: See ``LLMClient.ask``.
        """
        verdict = ModelVerdict()
        runs = {
            "closed_book": self._closed_book,
            "evidence": self._evidence,
            "without_evidence": self._without_evidence,
            "rivals": self._rivals,
            "judge": self._judge,
        }
        for name in MODEL_CHECKS:
            if name not in self._recipe.verify.checks:
                continue
            reason = await runs[name](_Case(candidate, pages, english, about), verdict)
            if reason:
                verdict.failed.append({"check": name, "reason": reason})
                return verdict
            if verdict.one_page >= 0:
                return verdict  # the caller decides what it is now
            verdict.checks.append(name)
        return verdict

    async def _closed_book(self, case: _Case, verdict: ModelVerdict) -> str:
        answer = await self._answer("closed_book", case, [])
        right = case.right(answer)
        verdict.models["closed_book"] = self._said("closed_book", answer)
        return "a model answers it without the pages" if right else ""

    async def _evidence(self, case: _Case, verdict: ModelVerdict) -> str:
        settings = self._recipe.verify
        votes: list[bool] = []
        said: list[str] = []
        # No more votes are bought than the decision needs.
        while (
            votes.count(True) < settings.votes_needed and votes.count(False) <= settings.votes - settings.votes_needed
        ):
            answer = await self._answer("evidence", case, case.evidence, number=len(votes))
            votes.append(case.right(answer))
            said.append(_text(answer))
        verdict.models["evidence"] = self._named("evidence") | {"votes": votes, "answers": said}
        if votes.count(True) < settings.votes_needed:
            wrong = next(text for text, vote in zip(said, votes, strict=True) if not vote)
            return f"{votes.count(True)} of {len(votes)} votes from the evidence pages; another answer: {wrong[:80]!r}"
        if case.candidate["config"] == "extract_multi":
            for page in case.evidence:
                if case.right(await self._answer("evidence", case, [page])):
                    verdict.one_page = page
                    break
        return ""

    async def _without_evidence(self, case: _Case, verdict: ModelVerdict) -> str:
        start, end = case.candidate["segment"]
        others = [page for page in range(start, end) if page not in case.evidence]
        if not others:
            return ""
        answer = await self._answer("without_evidence", case, others)
        verdict.models["without_evidence"] = self._said("without_evidence", answer)
        return "the pages without the evidence answer it too" if case.right(answer) else ""

    async def _rivals(self, case: _Case, verdict: ModelVerdict) -> str:
        said = []
        for start, end in self._windows(case):
            answer = await self._answer("rivals", case, range(start, end))
            said.append({"pages": [start, end], "answer": _text(answer)})
            if answer is not None and answer.answerable and not case.right(answer):
                verdict.models["rivals"] = self._named("rivals") | {"windows": said}
                return f"pages {start + 1}-{end} give another answer: {answer.answer[:80]!r}"
        verdict.models["rivals"] = self._named("rivals") | {"windows": said}
        return ""

    def _windows(self, case: _Case) -> list[tuple[int, int]]:
        """Windows outside of the segment, as long as it is; which ones is a hash."""
        start, end = case.candidate["segment"]
        length, total = end - start, len(case.pages)
        windows = [(max(0, last - length), last) for last in range(start, 0, -length)]
        windows += [
            (max(end, min(first, total - length)), min(first + length, total)) for first in range(end, total, length)
        ]
        windows.sort(key=lambda window: (stable_int("rival", case.candidate["question"], *window), window))
        return sorted(windows[: self._recipe.verify.rival_windows])

    async def _judge(self, case: _Case, verdict: ModelVerdict) -> str:
        candidate = case.candidate
        wording = prompt("judge")
        question = (
            f"Question: {candidate['question']}\nProposed answer: {json.dumps(candidate['answer'], ensure_ascii=False)}"
        )
        request = Request(
            stage="verify/judge", prompt=wording.version, endpoint=self._recipe.endpoint("judge"),
            messages=[("system", [wording.fill()]), ("user", [*case.pages.parts(case.evidence), question])],
            schema=JudgeReply, max_tokens=max(ANSWER_TOKENS, self._recipe.qa.max_tokens // 2), about=case.about,
        )  # fmt: skip
        reply = await self._ask(request)
        verdict.models["judge"] = self._named("judge")
        if not isinstance(reply.value, JudgeReply):
            return f"the judge gave no verdict ({reply.failure})"
        said = reply.value
        verdict.models["judge"] |= said.model_dump()
        bad = [name for name in ("correct", "unique", "clear", "worthwhile") if not getattr(said, name)]
        return f"not {', not '.join(bad)}: {said.reason[:160]}" if bad else ""

    async def _answer(self, check: str, case: _Case, pages: Sequence[int], number: int = 0) -> AnswerReply | None:
        """An answer from some pages, or from none; None if the model gives none."""
        wording = prompt("answer")
        question = f"Question: {case.candidate['question']}"
        rules = wording.fill(pages=bool(pages), format=case.candidate["answer_format"])
        messages: list[Message] = [("system", [rules]), ("user", [*case.pages.parts(pages), question])]
        request = Request(
            stage=f"verify/{check}", prompt=wording.version, endpoint=self._recipe.endpoint(check), messages=messages,
            schema=AnswerReply, number=number, seed=number, temperature=self._recipe.qa.temperature if number else 0.0,
            max_tokens=max(ANSWER_TOKENS, self._recipe.qa.max_tokens // 2), about=case.about,
        )  # fmt: skip
        reply = await self._ask(request)
        return reply.value if isinstance(reply.value, AnswerReply) else None

    def _said(self, check: str, answer: AnswerReply | None) -> dict[str, Any]:
        return self._named(check) | {"answer": _text(answer)}

    def _named(self, check: str) -> dict[str, Any]:
        return {"model": self._recipe.endpoint(check).model}


@dataclass(frozen=True, slots=True)
class _Case:
    candidate: dict[str, Any]
    pages: DocumentPages
    english: bool
    about: str

    @property
    def evidence(self) -> list[int]:
        return list(self.candidate["evidence_pages"])

    def right(self, answer: AnswerReply | None) -> bool:
        if answer is None or not answer.answerable:
            return False
        return same_answer(answer.answer, self.candidate["answer"], self.candidate["answer_format"], self.english)


def _text(answer: AnswerReply | None) -> str:
    """What a model said, for the record; "" for no answer."""
    return answer.answer[:200] if answer is not None and answer.answerable else ""
