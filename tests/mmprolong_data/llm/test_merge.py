"""Ledgers that become one, and one that is read beside another: nothing is lost, counted twice or asked again."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
from support.llm_requests import ask_all, request, square_brain
from support.llm_server import LLMServer

from mmprolong_data.errors import MMProLongError
from mmprolong_data.llm.ledger import Ledger
from mmprolong_data.llm.ledger_file import LedgerFile, LedgerInUse
from mmprolong_data.llm.merge import has_open_batches, settle, take_in
from mmprolong_data.llm.summary import Summary, merged, read_summary
from mmprolong_data.llm.types import Usage


@pytest.fixture
def three(tmp_path: Path) -> list[Path]:
    """Three ledgers of ten requests each, five of which the next one has too."""
    paths = [tmp_path / f"{name}.sqlite" for name in "abc"]
    with LLMServer(square_brain) as server:
        for i, path in enumerate(paths):
            ask_all(path, [request(number, server.url) for number in range(5 * i, 5 * i + 10)])
    return paths


def test_all_is_there_once(three: list[Path], tmp_path: Path) -> None:
    apart = merged(read_summary(path) for path in three)
    take_in(three[0], three[1:])
    together = read_summary(three[0])
    assert together.attempts == apart.attempts == 30
    assert together.cost == pytest.approx(apart.cost)
    assert [count for *_, count in together.calls] == [20]
    assert {path.name for path in tmp_path.glob("[bc].sqlite*")} == set()


def test_an_interrupted_move_is_not_done_twice(three: list[Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copy(three[1], copy)
    take_in(three[0], [three[1]])
    shutil.copy(copy, three[1])  # as if it had been killed before the removal
    take_in(three[0], [three[1]])
    assert read_summary(three[0]).attempts == 20
    assert not three[1].exists()
    take_in(three[0], [three[1]])  # nothing there


def test_batches_of_a_ledger_that_was_taken_in_are_found_by_its_name(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    ledger = Ledger(other)
    ledger.begin_batch("name", [("key", request(1, "http://endpoint/v1"))])
    name = ledger.name
    ledger.close()
    assert has_open_batches(other)
    take_in(one, [other])
    assert has_open_batches(one)
    ledger = Ledger(one)
    assert name in ledger.names()
    [batch] = ledger.open_batches()
    ledger.end(batch["items"]["key"], "ok", usage=Usage())
    ledger.close()
    assert [row.outcome for row in read_summary(one).rows] == ["ok"]


def test_a_ledger_in_use_is_not_taken_in(three: list[Path]) -> None:
    held = Ledger(three[1])
    with pytest.raises(LedgerInUse):
        take_in(three[0], [three[1]])
    held.close()


def test_another_file_is_refused_and_kept(three: list[Path]) -> None:
    three[1].write_text("no database at all, but long enough to be looked at" * 40)
    with pytest.raises(MMProLongError, match="damaged"):
        take_in(three[0], [three[1]])
    assert three[1].exists()


def test_replies_of_the_ledger_before_are_not_asked_for_again(three: list[Path], tmp_path: Path) -> None:
    whole = Ledger(three[0])
    stored = [str(key) for (key,) in whole.connection.execute("select key from calls")]
    whole.close()
    settle(three[0])
    assert not list(tmp_path.glob("a.sqlite-*"))
    ledger = Ledger(LedgerFile(tmp_path / "part.sqlite", alone=True, before=three[0]))
    found = [ledger.find(key) for key in stored]
    assert [call.status for call in found if call is not None] == ["ok"] * 10
    assert ledger.find("another") is None
    ledger.close()
    assert read_summary(tmp_path / "part.sqlite").attempts == 0


def test_a_ledger_for_one_process_alone_needs_no_shared_memory(tmp_path: Path) -> None:
    ledger = Ledger(LedgerFile(tmp_path / "part.sqlite", alone=True))
    ledger.begin(request(1, "http://endpoint/v1"), "key")
    assert not (tmp_path / "part.sqlite-shm").exists()
    ledger.close()
    assert read_summary(tmp_path / "part.sqlite").attempts == 1


def test_a_summary_survives_json(three: list[Path]) -> None:
    summary = read_summary(three[0])
    assert Summary.from_dict(json.loads(json.dumps(asdict(summary)))) == summary
