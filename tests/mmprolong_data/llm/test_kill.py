"""kill -9 in the middle of the work: what was stored is never paid again, what was under way is listed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.llm_requests import QUICK, ask_all, request, square_brain
from support.llm_server import Behaviour, LLMServer

from mmprolong_data.llm.ledger import LOST
from mmprolong_data.llm.summary import read_summary

TESTS = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
from pathlib import Path
from support.llm_requests import ask_all, request
ask_all(Path(sys.argv[1]), [request(n, sys.argv[2]) for n in range(int(sys.argv[3]))], batch=len(sys.argv) > 4)
"""


def killed_when(condition: Callable[[], bool], *arguments: object) -> None:
    """Start the program in a process of its own and kill it as soon as the condition holds."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        env={"PYTHONPATH": str(TESTS), "PATH": ""},
        cwd=TESTS.parent,
    )
    try:
        deadline = time.monotonic() + 60
        while not condition():
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline, "the condition never held"
            time.sleep(0.002)
        process.kill()
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("fault_rate", [0.0, 0.35])
def test_three_kills_pay_nothing_twice(tmp_path: Path, fault_rate: float) -> None:
    path = tmp_path / "l.sqlite"
    behaviour = Behaviour(fault_rate, faults=("429", "500", "html"), latency=0.02)
    with LLMServer(square_brain, behaviour) as server:
        stored_before, lost = 0, 0
        for _ in range(3):
            target = server.books.billed.total() + 40
            killed_when(lambda target=target: server.books.billed.total() >= target, path, server.url, 200)  # type: ignore[misc]
            summary = read_summary(path)
            # The dead process's attempts: "in flight" until somebody opens the ledger again.
            under_way = [row for row in summary.unknown if row["outcome"] != LOST]
            assert len(under_way) <= QUICK.concurrency
            lost += len(under_way)
            assert all(row["about"].startswith("number ") for row in under_way)
            stored = sum(count for *_, count in summary.calls)
            assert stored > stored_before
            stored_before = stored
        replies = ask_all(path, [request(number, server.url) for number in range(200)])
        assert all(reply.value is not None for reply in replies)
        summary = read_summary(path)
        assert len([row for row in summary.unknown if row["outcome"] == LOST]) == lost
        rows = {row.outcome: row.attempts for row in summary.rows}
        assert rows["ok"] == 200  # each stored reply was received once
        # The server billed the 200, and at most those that were under way at a kill.
        assert 200 <= server.books.billed.total() <= 200 + lost
        requests = server.books.requests
        ask_all(path, [request(number, server.url) for number in range(200)])
        assert server.books.requests == requests


def test_a_killed_batch_goes_on_and_is_not_sent_again(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    with LLMServer(square_brain, Behaviour(batch_polls=10**9)) as server:
        killed_when(lambda: any(b["polls"] > 1 for b in server.batches.values()), path, server.url, 30, "batch")
        assert read_summary(path).waiting == 30
        server.behaviour.batch_polls = 0
        replies = ask_all(path, [request(number, server.url) for number in range(30)], batch=True)
        assert [reply.value.square for reply in replies] == [n * n for n in range(30)]
        assert len(server.batches) == 1
        assert set(server.books.billed.values()) == {1}
        assert read_summary(path).waiting == 0
