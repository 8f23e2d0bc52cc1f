"""Questions of one document by a model: asks, checks, asks again, until there are enough or attempts are used up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mmprolong_data.llm import Reply, Request, Unanswered
from mmprolong_data.llm.types import Message

from ...recipe import Recipe
from ...seeding import stable_int
from ...stages import pack_record, unpack_record
from ..choose import Chooser
from ..protocol import Candidate
from .pages import Call, CannotUse, DocumentPages, PageCache
from .prompts import copies_example, prompt, rules
from .schemas import ParaphraseReply, QuestionReply
from .verifiers import Ask, ModelChecks

GENERATOR = "openai/1"
"""Stored with every sample, with the model's name."""

Checked = dict[str, Any]
"""What ``child.check`` returns."""


@dataclass(slots=True)
class Found:
    """Questions of one config: the fields of ``tasks.Questions``."""

    chooser: Chooser
    accepted: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """The fields, with the reason if there is no question."""
        reason = "" if self.accepted else "rejected" if self.rejected else "no_candidate"
        return {"accepted": self.accepted, "rejected": self.rejected, "reason": reason}


class DocumentAsker:
    """Makes the questions of one document.

    Args:
        row: Its row of the plan.
        packed: The parsed document.
        recipe: The settings.
        ask: The client's ``ask``.
        call: Runs a task in a sandboxed child.
        cache: Of rendered pages.
    """

    def __init__(
        self, row: dict[str, Any], packed: bytes, recipe: Recipe, ask: Ask, call: Call, cache: PageCache
    ) -> None:
        self._row = row
        self._packed = packed
        self._recipe = recipe
        self._content = recipe.content()
        self._client_ask = ask
        self._call = call
        self._cache = cache
        self._checks = ModelChecks(recipe, self._ask)
        self._asked: dict[str, dict[str, Any]] = {}

    async def run(self) -> dict[str, Any]:
        """The document's record for the cell ask.

        Returns:
            ``{"doc_id", "given": packed, "asked"}`` (see ``tasks.make_items``), or ``{"doc_id", "reason", "detail"}``;
            ``asked``: what was asked for -> ``{"model", "prompts", "served": {name that was reported: replies}}``.

        Raises:
            Unanswered, EndpointError, BudgetReached, Draining: See ``LLMClient.ask``.
        """
        configs = [config for config in self._row["configs"] if not config.startswith("ocr_")]
        try:
            if self._recipe.qa.generator == "openai":
                found = await self._questions(configs)
            else:
                found = await self._paraphrases(configs)
        except CannotUse as error:
            return {"doc_id": self._row["doc_id"], "reason": error.reason, "detail": error.detail}
        return {"doc_id": self._row["doc_id"], "given": pack_record(found), "asked": dict(sorted(self._asked.items()))}

    async def _child(self, task: str, **payload: Any) -> dict[str, Any]:
        outcome = await self._call(task, {"document": self._packed, **self._file(), **payload})
        if outcome.value is None:
            raise CannotUse(outcome.reason, outcome.detail)
        return outcome.value

    def _file(self) -> dict[str, Any]:
        return {"path": self._row["path"], "doc_id": self._row["doc_id"]}

    async def _ask(self, request: Request) -> Reply:
        try:
            reply = await self._client_ask(request)
        except Unanswered as error:
            if self._recipe.llm.unanswered == "drop":
                return Reply(request.key(), failure="unanswered", detail=str(error))
            raise
        kind, _, name = request.stage.partition("/")
        asked = self._asked.setdefault(
            {"qa": "questions", "verify": name}.get(kind, kind),
            {"model": request.endpoint.model, "prompts": [], "served": {}},
        )
        asked["prompts"] = sorted({*asked["prompts"], request.prompt})
        asked["served"][reply.served] = asked["served"].get(reply.served, 0) + 1
        return reply

    # The generator openai

    async def _questions(self, configs: Sequence[str]) -> dict[str, Any]:
        recipe = self._recipe
        prepared = await self._child("ask_prepare", recipe=self._content, dpi=self._row["dpi"])
        pages = DocumentPages(
            self._row["doc_id"], self._row["path"], prepared["sizes"], prepared["texts"],
            images=recipe.qa.pages != "text", quality=recipe.render.quality, cache=self._cache, call=self._call,
        )  # fmt: skip
        wanted = recipe.qa.per_document
        found = {config: Found(Chooser(wanted, family_share=1.0)) for config in configs}
        case = _Document(pages, prepared["segments"], prepared["english"], found)

        async def extractions() -> None:
            # One after the other: a question about several pages may turn out to be one about a single page.
            for config in ("extract_multi", "extract_single"):
                if config in found:
                    await self._fill(config, case)

        async def reasoning() -> None:
            if "reasoning" in found:
                await self._fill("reasoning", case)

        await _together(extractions(), reasoning())
        return {config: entry.record() for config, entry in found.items()}

    async def _fill(self, config: str, case: _Document) -> None:
        """Ask for questions of a config until there are enough."""
        found = case.found[config]
        for attempt in range(self._recipe.qa.attempts * self._recipe.qa.per_document):
            if found.chooser.full:
                return
            segment = case.segments[attempt % len(case.segments)]
            await self._attempt(config, segment, attempt // len(case.segments), case)

    async def _attempt(self, config: str, segment: Sequence[Any], number: int, case: _Document) -> None:
        start, end, fallback = segment
        request = self._request(config, (start, end), number, case.pages)
        reply = await self._ask(request)
        found = case.found[config]
        if not isinstance(reply.value, QuestionReply):
            failed = [{"check": "reply", "reason": f"{reply.failure}: {reply.detail}"[:200]}]
            found.rejected.append({"config": config, "family": "model", "question": "", "answer": "", "failed": failed})
            return
        checked = await self._child("ask_check", config=config, segment=[start, end], reply=reply.value.model_dump())
        await self._judge(checked, config, fallback, case)

    async def _judge(
        self, checked: Checked, config: str, fallback: str, case: _Document, *, again: bool = False
    ) -> None:
        """Put a candidate that passed the checks without models through those by models, and where it belongs."""
        found = case.found[config]
        candidate = checked["candidate"]
        if checked["failed"]:
            found.rejected.append(checked["rejection"] | {"config": config})
            return
        target = candidate["config"]
        if target != config and not self._has_room(target, case):
            found.rejected.append(_rejection(checked, config, "one_page", "one page answers it"))
            return
        place = case.found[target]
        refused = place.chooser.refuse(Candidate(**candidate))
        if refused:
            found.rejected.append(_rejection(checked, config, "duplicate", "a question like it was accepted"))
            return
        if checked["in_picture"] and "evidence" not in self._recipe.verify.checks:
            reason = "the evidence is a picture, and verify.checks has no evidence"
            found.rejected.append(_rejection(checked, config, "answer", reason))
            return
        about = f"{self._row['name']} ({self._row['doc_id'][:12]}) {config}"
        verdict = await self._checks.check(candidate, case.pages, case.english, about)
        if verdict.failed:
            entry = _rejection(checked, config, verdict.failed[0]["check"], verdict.failed[0]["reason"])
            found.rejected.append(entry | {"models": verdict.models})
            return
        if verdict.one_page >= 0 and not again:
            await self._relabel(checked, verdict.one_page, config, fallback, case)
            return
        checks = dict.fromkeys([*checked["checks"], *verdict.checks], "ok")
        if checked["in_picture"]:
            checks["answer"] = "by_model"
        place.chooser.take(Candidate(**candidate))
        place.accepted.append(
            {
                "candidate": candidate,
                "generator": f"{GENERATOR} {self._recipe.qa.model}",
                "checks": checks,
                "text": checked["text"],
                "fallback": fallback,
                "models": verdict.models,
            }
        )

    async def _relabel(self, checked: Checked, page: int, config: str, fallback: str, case: _Document) -> None:
        """A question about several pages that one of them answers: ``verify.one_page`` says what becomes of it."""
        if not self._has_room("extract_single", case):
            reason = f"page {page + 1} alone answers it"
            case.found[config].rejected.append(_rejection(checked, config, "one_page", reason))
            return
        notes = checked["candidate"]["notes"] | {"relabelled": "one_page"}
        changed = {"config": "extract_single", "evidence_pages": [page], "notes": notes}
        again = await self._child("ask_check", candidate=checked["candidate"] | changed)
        await self._judge(again, config, fallback, case, again=True)

    def _has_room(self, config: str, case: _Document) -> bool:
        room = config in case.found and not case.found[config].chooser.full
        return room and self._recipe.verify.one_page == "relabel"

    def _request(self, config: str, segment: tuple[int, int], number: int, pages: DocumentPages) -> Request:
        recipe, doc_id = self._recipe, self._row["doc_id"]
        start, end = segment
        text, version = rules(recipe.seed, doc_id, start, end)
        task = prompt(config)
        shown = range(start, end)
        messages: list[Message] = [
            ("system", [text]),
            # The task comes last: requests for the other configs share all that stands before it.
            ("user", [*pages.parts(shown), f"These were pages {start + 1} to {end}.\n\n{task.fill()}"]),
        ]

        def check(value: QuestionReply) -> str:
            named = [
                *value.evidence_pages,
                *(place.page for place in value.evidence),
                *(place.page for place in value.values),
            ]
            outside = sorted({page for page in named if not start < page <= end})
            if outside:
                return f"pages {outside[:5]} are none of those shown, {start + 1} to {end}"
            if copies_example(value.question):
                return "it asks what an example of the prompt asks"
            return "" if value.evidence_pages and value.evidence_sources else "it names no evidence"

        return Request(
            stage=f"qa/{config}", prompt=f"{version} {task.version}", endpoint=recipe.endpoint(), messages=messages,
            schema=QuestionReply, check=check, number=number, temperature=recipe.qa.temperature,
            seed=stable_int(recipe.seed, doc_id, config, start, end, number) % (1 << 31),
            max_tokens=recipe.qa.max_tokens, about=f"{self._row['name']} ({doc_id[:12]}) {config}",
        )  # fmt: skip

    # Other words for the questions of the generator without a model

    async def _paraphrases(self, configs: Sequence[str]) -> dict[str, Any]:
        made = await self._child("ask_programmatic", recipe=self._content, configs=list(configs))
        found: dict[str, Any] = unpack_record(made["questions"])
        await _together(*(self._reword(entry) for config in configs for entry in found[config]["accepted"]))
        return found

    async def _reword(self, entry: dict[str, Any]) -> None:
        """Put one question into other words; where that fails, it keeps its own and a note says why."""
        wording = prompt("paraphrase")
        question = entry["candidate"]["question"]
        request = Request(
            stage="paraphrase", prompt=wording.version, endpoint=self._recipe.endpoint(),
            messages=[("system", [wording.fill()]), ("user", [question])], schema=ParaphraseReply,
            temperature=self._recipe.qa.temperature, max_tokens=min(1024, self._recipe.qa.max_tokens),
            seed=stable_int(self._recipe.seed, question) % (1 << 31), about=f"{self._row['name']}: {question[:60]}",
        )  # fmt: skip
        reply = await self._ask(request)
        if not isinstance(reply.value, ParaphraseReply):
            entry["models"]["paraphrase"] = {"model": self._recipe.qa.model, "kept": reply.failure}
            return
        new = reply.value.question
        checked = await self._child("ask_check_paraphrase", candidate=entry["candidate"], question=new)
        if checked["wrong"]:
            entry["models"]["paraphrase"] = {"model": self._recipe.qa.model, "kept": checked["wrong"][:200]}
            return
        entry["models"]["paraphrase"] = {"model": self._recipe.qa.model, "original": question}
        entry["candidate"] = checked["candidate"]
        entry["checks"] = entry["checks"] | {"paraphrase": "ok"}


@dataclass(frozen=True, slots=True)
class _Document:
    pages: DocumentPages
    segments: list[list[Any]]
    english: bool
    found: dict[str, Found]


def _rejection(checked: Checked, config: str, check: str, reason: str) -> dict[str, Any]:
    candidate = checked["candidate"]
    return {
        "config": config,
        "family": candidate["family"],
        "question": candidate["question"],
        "answer": str(candidate["answer"]),
        "failed": [{"check": check, "reason": reason}],
        "evidence_pages": candidate["evidence_pages"],
    }


async def _together(*work: Any) -> None:
    """Run all to their ends, then raise the first exception: what is under way must not be thrown away."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
