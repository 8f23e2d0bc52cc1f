"""Parts that ask a model: ledgers of their own, the bytes of one build, nothing paid twice, costs that add up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.builds import command, content, interrupt_when, run, until
from support.documents import write_corpus
from support.llm_server import LLMServer
from support.model_builds import CONCURRENCY, QUIET, arguments

pytestmark = pytest.mark.usefixtures("quiet")
SLICED = (
    "--set", "pack.documents_per_slice=1", "--workers", "1", "--set", "tasks.configs=[extract_single,reasoning]",
    "--set", "verify.checks=[closed_book,evidence]", "--set", "qa.pages=text",
)  # fmt: skip
PRICE = 0.002
"""US dollars a reply."""


@pytest.fixture(scope="module")
def pdfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four reports of 8 to 10 pages."""
    return write_corpus(tmp_path_factory.mktemp("pdfs"), 4, pages=8)


@pytest.fixture(scope="module")
def reference(
    pdfs: Path, server: LLMServer, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, str], list[Any]]:
    """What one machine makes, and the calls that it keeps."""
    out = tmp_path_factory.mktemp("reference") / "mmprolong"
    server.behaviour = replace(QUIET)
    run(*arguments(pdfs, out, server, *SLICED))
    return content(out), cost(out)["calls"]


def cost(out: Path) -> dict[str, Any]:
    """What ``mmprolong cost --json`` says."""
    value: dict[str, Any] = json.loads(run("cost", out, "--json").stdout)
    return value


def count(calls: list[Any]) -> int:
    return sum(number for *_, number in calls)


def replies(value: dict[str, Any]) -> int:
    return sum(row["attempts"] for row in value["rows"] if row["outcome"] == "ok")


def test_parts_killed_and_at_the_same_time(
    reference: tuple[dict[str, str], list[Any]], pdfs: Path, server: LLMServer, tmp_path: Path
) -> None:
    """Two start at once in an empty folder; one is killed, and run again twice at the same time."""
    out = tmp_path / "mmprolong"
    line = arguments(pdfs, out, server, *SLICED)
    before = server.books.billed.total()
    server.behaviour.latency = 0.05
    other = subprocess.Popen(command(*line, "--part", "1/2"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    ledger = out / ".work" / "llm" / "00000-of-00002.sqlite"
    code, _ = interrupt_when(
        lambda: ledger.exists() and server.books.billed.total() - before > 10, *line, "--part", "0/2"
    )
    assert code == -signal.SIGKILL
    again = [
        subprocess.Popen(command(*line, "--part", "0/2"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in (other, *again):
        _, errors = process.communicate(timeout=200)
        assert process.returncode == 0, errors
    assert sorted(path.name for path in ledger.parent.glob("*.sqlite")) == [ledger.name, "00001-of-00002.sqlite"]
    apart = cost(out)
    now = json.loads(run("status", out, "--json").stdout)
    assert [now["stages"][stage]["slices"] for stage in ("ask", "pack")] == [4, 4]
    assert not now["published"]
    run("build", "--finish", "--out", out, "--no-report")
    assert content(out) == reference[0]
    assert not list(ledger.parent.glob("*.sqlite*"))  # united
    together = cost(out)
    assert together["calls"] == reference[1]
    assert together["cost"] == pytest.approx(apart["cost"]) == pytest.approx(PRICE * replies(together))
    lost = sum(row["attempts"] for row in together["rows"] if row["outcome"] == "lost")
    assert lost <= CONCURRENCY
    # Documents of one kind have questions in common, which are asked without their pages: in each part once.
    common = count(apart["calls"]) - count(together["calls"])
    assert replies(together) == count(reference[1]) + common
    assert common <= 4
    assert server.books.billed.total() - before <= replies(together) + lost


def test_other_divisions_and_none_pay_nothing_again(
    reference: tuple[dict[str, str], list[Any]], pdfs: Path, server: LLMServer, tmp_path: Path
) -> None:
    """A part of three, killed; then all at once, killed; then parts of two."""
    out = tmp_path / "mmprolong"
    line = arguments(pdfs, out, server, *SLICED)
    server.behaviour.latency = 0.05
    before = server.books.billed.total()
    lost = 0
    for number, more in enumerate((("--part", "1/3"), ()), 1):
        interrupt_when(lambda n=number: server.books.billed.total() - before >= 10 * n, *line, *more)  # type: ignore[misc]
        lost += len([row for row in cost(out)["unknown"] if row["outcome"] == "in_flight"])
    server.behaviour.latency = 0.01
    for part in (1, 0):
        run(*line, "--part", f"{part}/2")
    common = count(cost(out)["calls"]) - count(reference[1])
    run("build", "--finish", "--out", out, "--no-report")
    assert content(out) == reference[0]
    assert cost(out)["calls"] == reference[1]
    assert common <= 4
    assert server.books.billed.total() - before <= count(reference[1]) + common + lost
    asked = server.books.requests
    assert "0 slices made" in run(*line, "--part", "0/2").stdout
    assert server.books.requests == asked


def test_a_limit_on_the_cost_is_one_of_each_part(pdfs: Path, server: LLMServer, tmp_path: Path) -> None:
    out = tmp_path / "mmprolong"
    line = arguments(pdfs, out, server, *SLICED, "--set", "qa.max_tokens=200")
    spent = [0.0]
    for part in (0, 1):
        stopped = run(*line, "--part", f"{part}/2", "--max-cost", "0.02", code=4)
        assert "--max-cost" in stopped.stderr
        spent.append(cost(out)["cost"])
        assert 0 < spent[-1] - spent[-2] <= 0.02
    assert "price" in run(*line, "--part", "0/2", "--max-cost", "1", "--set", "llm.prices={}", code=2).stderr


def test_batches_belong_to_their_division(
    reference: tuple[dict[str, str], list[Any]], pdfs: Path, server: LLMServer, tmp_path: Path
) -> None:
    out = tmp_path / "mmprolong"
    settings = ("qa.mode=batch", "llm.batch_wait=0.3", "llm.batch_poll=0.05")
    line = arguments(pdfs, out, server, *SLICED, *(word for setting in settings for word in ("--set", setting)))
    server.behaviour.batch_polls = 1000
    known = len(server.batches)
    interrupt_when(lambda: len(server.batches) > known, *line, "--part", "0/2")
    refused = run(*line, "--part", "0/3", code=1).stderr
    assert "requests wait in batches" in refused
    assert "without --part" in refused
    server.behaviour.batch_polls = 1
    sent = len(server.batches)
    run(*line)  # takes up the batch of the part
    assert content(out) == reference[0]
    assert cost(out)["calls"] == reference[1]
    assert len(server.batches) > sent


def test_costs_while_parts_are_asking(pdfs: Path, server: LLMServer, tmp_path: Path) -> None:
    out = tmp_path / "mmprolong"
    line = arguments(pdfs, out, server, *SLICED)
    server.behaviour.latency = 0.05
    with subprocess.Popen(
        command(*line, "--part", "0/1"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        until(lambda: list(out.glob(".work/*/ask/*.json")) and list(out.glob(".work/llm/*.json")))
        until(lambda: (out / ".work" / "llm" / "00000-of-00001.json").exists())
        os.kill(process.pid, signal.SIGSTOP)
        shown = run("cost", out).stdout
        assert "1 parts are asking now" in " ".join(shown.split())
        assert replies(cost(out)) > 0
        process.kill()
    assert replies(cost(out)) > 0
    assert "asking now" not in run("cost", out).stdout


def test_an_endpoint_that_is_not_there_is_named_before_any_work(pdfs: Path, server: LLMServer, tmp_path: Path) -> None:
    out = tmp_path / "mmprolong"
    line = arguments(pdfs, out, server, *SLICED, "--set", "qa.base_url=http://127.0.0.1:9/v1", "--part", "0/2")
    assert "cannot be reached" in run(*line, code=1).stderr
    assert not list(out.glob(".work/inventory*"))
