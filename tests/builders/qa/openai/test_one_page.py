"""What becomes of a question about several pages that one page answers: ``verify.one_page``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.builds import run
from support.documents import write_corpus
from support.llm_server import Body, LLMServer, text_of
from support.qa_brain import answer, pages_of, qa_brain


def one_page_brain(named: int) -> Any:
    """Asks about one page where several are wanted, and names ``named`` pages (1 or 2) as its evidence."""

    def brain(body: Body) -> str:
        system, user = text_of(body, "system"), text_of(body, "user")
        if "You write questions" in system and "at least two pages" in user.rsplit("These were pages", 1)[1]:
            first, second = sorted(page for page, fields in pages_of(body).items() if "Inspector" in fields)[:2]
            name = pages_of(body)[first]["Inspector"]
            shown = [first, second][:named]
            more = f", not on page {second}" if named > 1 else ""
            said = {
                "evidence": [{"page": first, "source": "Text", "content": f"Inspector: {name}"}],
                "operation": "none", "values": [], "answer": name, "answer_format": "String",
                "question": f"Who is the Inspector on page {first}{more}?",
                "evidence_pages": shown, "evidence_sources": ["Text"],
            }  # fmt: skip
            return json.dumps(said)
        if "You answer a question" in system and ", not on page" in user:
            body = json.loads(json.dumps(body).replace(", not on page", ", not as on leaf"))
            return json.dumps(answer(body))
        return qa_brain(body)

    return brain


def build(pdfs: Path, out: Path, server: LLMServer, one_page: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A build with both extract configs. Returns its samples and manifest."""
    settings = (
        "select.pages=[8,50]", "tasks.configs=[extract_single,extract_multi]", "render.dpi=72", "render.min_dpi=72",
        "qa.generator=openai", "qa.model=m", f"qa.base_url={server.url}", "qa.pages=text", "segments.pages=[3,5]",
        f"verify.one_page={one_page}", "select.validation=0",
    )  # fmt: skip
    run("build", pdfs, "--out", out, "--no-report", *(word for s in settings for word in ("--set", s)))
    columns = ["config", "question", "evidence_pages", "verification", "meta"]
    rows = [
        row for path in sorted(out.glob("data/*/*.parquet")) for row in pq.read_table(path, columns=columns).to_pylist()
    ]
    return rows, json.loads((out / "manifest.json").read_text())


@pytest.fixture(scope="module")
def pdfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One report of 10 pages."""
    return write_corpus(tmp_path_factory.mktemp("pdfs"), 1, pages=10)


@pytest.mark.parametrize("named", [1, 2])
def test_such_a_question_is_relabelled_and_checked_as_what_it_is(named: int, pdfs: Path, tmp_path: Path) -> None:
    with LLMServer(one_page_brain(named)) as server:
        rows, manifest = build(pdfs, tmp_path / "out", server, "relabel")
    assert [row["config"] for row in rows] == ["extract_single"]
    assert len(rows[0]["evidence_pages"]) == 1
    assert json.loads(rows[0]["meta"])["relabelled"] == "one_page"
    checks = json.loads(rows[0]["verification"])["checks"]
    assert {"closed_book", "evidence", "answer", "anchor"} <= set(checks)
    assert "extract_multi" in manifest["shortfalls"]


@pytest.mark.parametrize("named", [1, 2])
def test_or_it_is_dropped_with_its_reason(named: int, pdfs: Path, tmp_path: Path) -> None:
    with LLMServer(one_page_brain(named)) as server:
        rows, manifest = build(pdfs, tmp_path / "out", server, "drop")
    assert [row["config"] for row in rows] == ["extract_single"]
    assert "relabelled" not in json.loads(rows[0]["meta"])  # it was asked for as such
    assert manifest["rejected"]["extract_multi"] == {"one_page": 4}
    assert manifest["shortfalls"]["extract_multi"] == {"rejected": 1}
