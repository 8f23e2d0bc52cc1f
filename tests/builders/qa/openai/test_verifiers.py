"""Checks by models, through a real server whose model is scripted: what each of them refuses, and what it costs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mmprolong_builders.qa.openai.pages import DocumentPages, PageCache
from mmprolong_builders.qa.openai.verifiers import ModelChecks, ModelVerdict
from mmprolong_builders.recipe import MODEL_CHECKS, Recipe
from support.llm_requests import with_client
from support.llm_server import Body, LLMServer, text_of
from support.qa_brain import qa_brain

from mmprolong_data.llm import LLMClient
from mmprolong_data.settings import load_settings

PAGES = 12
TEXTS = [
    f"Inspector: Name{page} Surname Permit number: WB-{page} Depth of the shaft: {page}.5 m"
    for page in range(1, PAGES + 1)
]


def candidate(**changed: Any) -> dict[str, Any]:
    """A question about pages 5 and 6 (as labelled), made from pages 4 to 7."""
    values: dict[str, Any] = {
        "config": "extract_multi", "family": "model_text", "answer": ["WB-5", "WB-6"], "answer_format": "List",
        "question": "Which Permit number stands on page 5 and which on page 6, in that order?",
        "evidence_pages": [4, 5], "evidence_sources": ["Text"], "segment": [3, 7], "scope": [4, 6],
    }  # fmt: skip
    return values | changed


SINGLE = {
    "config": "extract_single", "answer": "Name5 Surname", "answer_format": "String", "evidence_pages": [4],
    "question": "Who is named as the Inspector on page 5?",
}  # fmt: skip


def shown(body: Body) -> list[str]:
    """Labels of the pages that a request shows."""
    return [line for line in text_of(body, "user").split("\n") if line.startswith("Page ")]


def checked(
    tmp_path: Path, case: dict[str, Any], brain: Callable[[Body], str], *settings: str
) -> tuple[ModelVerdict, list[Body]]:
    """The verdict on a candidate, and the requests that it took."""
    pages = DocumentPages(
        "cd" * 32,
        "x.pdf",
        [[56, 56]] * PAGES,
        TEXTS,
        images=False,
        quality=85,
        cache=PageCache(),
        call=None,  # type: ignore[arg-type]
    )
    with LLMServer(brain, keep_bodies=True) as server:
        chosen = ["qa.generator=openai", "qa.model=m", "qa.pages=text", f"qa.base_url={server.url}", *settings]
        recipe = load_settings(Recipe, None, chosen)
        recipe.validate()

        async def work(client: LLMClient) -> ModelVerdict:
            return await ModelChecks(recipe, client.ask).check(case, pages, True, "a.pdf")

        return with_client(tmp_path / "l.sqlite", work), list(server.books.bodies)


ALL = f"verify.checks=[{','.join(MODEL_CHECKS)}]"


def answers(**by_pages: str) -> Callable[[Body], str]:
    """Answers like the sensible model, but for the number of pages shown: ``n2="x"``: "x" if two are shown."""

    def brain(body: Body) -> str:
        said = by_pages.get(f"n{len(shown(body))}")
        if said is not None and "You answer" in text_of(body, "system"):
            return json.dumps({"answerable": bool(said), "answer": said})
        return qa_brain(body)

    return brain


def test_a_good_question_passes_all_checks_in_order_of_cost(tmp_path: Path) -> None:
    verdict, bodies = checked(tmp_path, candidate(), qa_brain, ALL)
    assert not verdict.failed
    assert verdict.checks == list(MODEL_CHECKS)
    assert verdict.one_page == -1
    pages = [len(shown(body)) for body in bodies]
    # Closed book, two votes, each page alone, without evidence, two rival windows, the judge.
    assert pages[:6] == [0, 2, 2, 1, 1, 2]
    assert sorted(pages[6:8]) in ([3, 4], [4, 4])
    assert pages[8:] == [2]


@pytest.mark.parametrize(
    ("case", "brain", "check", "word"),
    [
        (candidate(**SINGLE), answers(n0="Name5 Surname"), "closed_book", "without the pages"),
        (candidate(**SINGLE), answers(n1="Somebody Else"), "evidence", "Somebody Else"),
        (candidate(**SINGLE), answers(n1=""), "evidence", "0 of 2 votes"),
        (candidate(**SINGLE), answers(n3="name5 surname"), "without_evidence", "without the evidence"),
        (candidate(**SINGLE), answers(n4="Marta Kowal"), "rivals", "Marta Kowal"),
    ],
)
def test_each_check_refuses_what_it_is_for(
    tmp_path: Path, case: dict[str, Any], brain: Callable[[Body], str], check: str, word: str
) -> None:
    verdict, _ = checked(tmp_path, case, brain, ALL)
    assert [failure["check"] for failure in verdict.failed] == [check]
    assert word in verdict.failed[0]["reason"]
    assert check not in verdict.checks
    assert verdict.models[check]["model"] == "m"


def test_the_judge_is_asked_last_and_is_another_model(tmp_path: Path) -> None:
    def brain(body: Body) -> str:
        if body["model"] == "strict":
            said = {"reason": "Two answers fit.", "correct": True, "unique": False, "clear": True, "worthwhile": True}
            return json.dumps(said)
        return qa_brain(body)

    verdict, bodies = checked(tmp_path, candidate(), brain, ALL, "verify.models.judge=strict")
    assert verdict.failed == [{"check": "judge", "reason": "not unique: Two answers fit."}]
    assert [body["model"] for body in bodies].index("strict") == len(bodies) - 1
    assert verdict.models["judge"]["model"] == "strict"
    assert "WB-5" in text_of(bodies[-1], "user").rsplit("Proposed answer", 1)[1]


def test_votes_end_when_they_are_decided(tmp_path: Path) -> None:
    only = "verify.checks=[evidence]"
    five = ("verify.votes=5", "verify.votes_needed=3")
    verdict, bodies = checked(tmp_path / "a", candidate(**SINGLE), qa_brain, only, *five)
    assert verdict.models["evidence"]["votes"] == [True] * 3
    assert [body["seed"] for body in bodies] == [0, 1, 2]
    verdict, bodies = checked(tmp_path / "b", candidate(**SINGLE), answers(n1="no"), only, *five)
    assert verdict.models["evidence"]["votes"] == [False] * 3
    assert len(bodies) == 3


def test_a_question_that_one_page_answers_is_told_apart(tmp_path: Path) -> None:
    verdict, _ = checked(tmp_path, candidate(), answers(n1="WB-5; WB-6"), "verify.checks=[evidence]")
    assert not verdict.failed
    assert verdict.one_page == 4


def test_a_model_that_says_nothing_useful_proves_nothing(tmp_path: Path) -> None:
    verdict, _ = checked(tmp_path, candidate(**SINGLE), lambda body: "I cannot help with that.", ALL)
    assert [failure["check"] for failure in verdict.failed] == ["evidence"]
