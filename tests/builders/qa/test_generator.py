"""The programmatic generator on documents whose facts the test knows."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmprolong_builders.blocks import Document
from mmprolong_builders.layout.parse import parse_document
from mmprolong_builders.pdf import open_pdf
from mmprolong_builders.qa.programmatic import ProgrammaticGenerator
from mmprolong_builders.qa.programmatic.registry import FAMILIES
from mmprolong_builders.qa.verify import verify_candidate
from mmprolong_builders.recipe import Recipe
from mmprolong_builders.segments import choose_segments
from support.documents import write_report

CONFIGS = ("extract_single", "extract_multi", "reasoning")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Document:
    path: Path = write_report(tmp_path_factory.mktemp("report") / "report.pdf", pages=14)
    with open_pdf(path) as pdf:
        return parse_document(pdf, "ab" * 32, Recipe().parse)


@pytest.mark.parametrize("config", CONFIGS)
def test_every_config_has_candidates_that_pass(report: Document, config: str) -> None:
    [segment] = choose_segments(report, Recipe().segments, 0, 1)
    candidates = ProgrammaticGenerator().generate(report, [segment], config, 0)
    assert len(candidates) >= 5
    failed = [(c.question, v) for c in candidates for v in verify_candidate(c, report) if not v.ok]
    assert len(failed) <= len(candidates) // 5, failed
    assert {candidate.config for candidate in candidates} == {config}
    for candidate in candidates:
        assert segment.start <= candidate.evidence_pages[0] <= candidate.evidence_pages[-1] < segment.end
        assert "the document" not in candidate.question
        assert "{" not in candidate.question


@pytest.mark.parametrize("config", CONFIGS)
def test_the_same_arguments_give_the_same_candidates_and_another_seed_others(report: Document, config: str) -> None:
    [segment] = choose_segments(report, Recipe().segments, 0, 1)
    first = ProgrammaticGenerator().generate(report, [segment], config, 0)
    copy = Document.from_dict(report.to_dict())
    assert ProgrammaticGenerator().generate(copy, [segment], config, 0) == first
    assert ProgrammaticGenerator().generate(report, [segment], config, 1) != first


@pytest.mark.parametrize("config", CONFIGS)
def test_families_take_turns(report: Document, config: str) -> None:
    [segment] = choose_segments(report, Recipe().segments, 0, 1)
    families = [candidate.family for candidate in ProgrammaticGenerator().generate(report, [segment], config, 0)]
    different = len(set(families))
    assert len(set(families[:different])) == different


def test_names_of_families_are_unique_and_wordings_are_many() -> None:
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    for family in FAMILIES:
        assert 5 <= len(set(family.wordings)) <= 8, family.name
        assert family.config in CONFIGS


def test_an_empty_document_has_no_candidates() -> None:
    empty = Document("cd" * 32, [])
    assert ProgrammaticGenerator().generate(empty, [], "reasoning", 0) == []
