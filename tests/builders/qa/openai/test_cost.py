"""``mmprolong cost``: what the ledger holds, as tables and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.llm_requests import ask_all, request, square_brain
from support.llm_server import Behaviour, LLMServer

from mmprolong_data.cli import main


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Twenty requests, some of which needed a second attempt, one refused."""
    path = tmp_path / "out" / ".work" / "llm.sqlite"
    refuse = lambda body: "against the policy" if "Square 7" in json.dumps(body) else ""  # noqa: E731
    with LLMServer(square_brain, Behaviour(0.3, faults=("500", "429"), refuse=refuse)) as server:
        ask_all(path, [request(number, server.url) for number in range(20)])
    return path


def test_tables_add_up(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", str(ledger.parents[1])]) == 0
    shown = capsys.readouterr().out
    assert "square" in shown
    assert "model-a" in shown
    assert "0.0380" in shown  # 19 replies
    assert "refused" in shown
    assert main(["cost", str(ledger), "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["cost"] == pytest.approx(0.038)
    assert sum(row["attempts"] for row in value["rows"]) > 20
    assert value["cost_per_accepted"] is None


def test_the_price_of_an_accepted_question(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cell = ledger.parent / "recipe" / "ask" / "00000.json"
    cell.parent.mkdir(parents=True)
    counts = {"accepted": {"reasoning": 3, "extract_single": 1}, "failed": {"reasoning": {"recompute": 4}}}
    cell.write_text(json.dumps(counts))
    assert main(["cost", str(ledger.parents[1])]) == 0
    shown = capsys.readouterr().out
    assert "8 questions made, 4 accepted (50 %); 0.0095 US dollars an accepted question." in shown
    assert "recompute 4" in shown


def test_a_folder_without_a_ledger_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", str(tmp_path)]) == 1
    assert "no ledger" in capsys.readouterr().err
