"""Batch mode: one file for many requests, partial failures asked again, orphans found, results taken once."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.llm_requests import QUICK, ask_all, request, square_brain, with_client
from support.llm_server import Behaviour, LLMServer

from mmprolong_data.llm import EndpointError, Ledger, LLMClient
from mmprolong_data.llm.summary import read_summary


def test_requests_go_into_one_batch_at_the_lower_price(tmp_path: Path) -> None:
    with LLMServer(square_brain) as server:
        replies = ask_all(tmp_path / "l.sqlite", [request(number, server.url) for number in range(20)], batch=True)
        assert [reply.value.square for reply in replies] == [n * n for n in range(20)]
        assert len(server.batches) == 1
        assert server.books.requests == 0
        lines = [json.loads(line) for line in server.files["file-0"].splitlines()]
        assert {line["url"] for line in lines} == {"/v1/chat/completions"}
        assert {line["custom_id"] for line in lines} == {reply.key for reply in replies}
    summary = read_summary(tmp_path / "l.sqlite")
    assert summary.cost == pytest.approx(20 * 0.002 * 0.5)
    assert summary.waiting == 0


def test_what_fails_in_a_batch_is_asked_in_another(tmp_path: Path) -> None:
    with LLMServer(square_brain, Behaviour(batch_fails=0.4)) as server:
        replies = ask_all(tmp_path / "l.sqlite", [request(number, server.url) for number in range(30)], batch=True)
        assert all(reply.value is not None for reply in replies)
        assert len(server.batches) == 2
        assert set(server.books.billed.values()) == {1}
    rows = {row.outcome: row.attempts for row in read_summary(tmp_path / "l.sqlite").rows}
    assert rows["ok"] == 30
    assert 0 < rows["server_error"] < 30


def test_a_batch_that_expires_is_asked_again(tmp_path: Path) -> None:
    def brain(body: dict) -> str:  # type: ignore[type-arg]
        return square_brain(body)

    with LLMServer(brain, Behaviour(batch_status="expired", batch_fails=0.5)) as server:
        replies = ask_all(tmp_path / "l.sqlite", [request(number, server.url) for number in range(10)], batch=True)
        assert all(reply.value is not None for reply in replies)
        assert set(server.books.billed.values()) == {1}


def test_batches_are_split_by_size_and_bytes(tmp_path: Path) -> None:
    with LLMServer(square_brain) as server:
        asked = [request(number, server.url) for number in range(20)]
        ask_all(tmp_path / "l.sqlite", asked, replace(QUICK, batch_size=8), batch=True)
        assert sorted(len(server.files[b["input_file_id"]].splitlines()) for b in server.batches.values()) == [4, 8, 8]
    with LLMServer(square_brain) as server:
        asked = [request(number, server.url) for number in range(20)]
        ask_all(tmp_path / "m.sqlite", asked, replace(QUICK, batch_bytes=4000), batch=True)
        assert len(server.batches) > 2
        assert all(len(server.files[b["input_file_id"]]) <= 4000 for b in server.batches.values())


def test_the_reply_format_steps_down_in_batches_too(tmp_path: Path) -> None:
    with LLMServer(square_brain, Behaviour(formats=("json_object",))) as server:
        replies = ask_all(tmp_path / "l.sqlite", [request(number, server.url) for number in range(5)], batch=True)
        assert all(reply.value is not None for reply in replies)
        assert len(server.batches) == 2


def test_a_batch_created_before_we_heard_of_its_id_is_found_by_its_metadata(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    with LLMServer(square_brain, Behaviour(batch_polls=10**9)) as server:

        async def work(client: LLMClient) -> None:
            task = asyncio.create_task(client.ask(request(6, server.url)))
            while not any(batch["polls"] for batch in server.batches.values()):
                await asyncio.sleep(0.01)
            task.cancel()

        with_client(path, work, batch=True)
        ledger = Ledger(path)
        (batch,) = ledger.open_batches()
        ledger.update_batch(batch["name"], id="", status="prepared")  # as if killed a moment earlier
        ledger.close()
        server.behaviour.batch_polls = 0
        (reply,) = ask_all(path, [request(6, server.url)], batch=True)
        assert reply.value.square == 36
        assert len(server.batches) == 1


def test_a_batch_that_was_never_created_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    with LLMServer(square_brain) as server:
        ledger = Ledger(path)
        asked = request(6, server.url)
        ledger.begin_batch("never", [(asked.key(), asked)])
        ledger.close()
        (reply,) = ask_all(path, [asked], batch=True)
        assert reply.value.square == 36
        assert len(server.batches) == 1
    rows = {row.outcome: row.attempts for row in read_summary(path).rows}
    assert rows == {"lost": 1, "ok": 1}


def test_results_are_kept_at_the_endpoint_until_each_has_been_stored(tmp_path: Path) -> None:
    """The second run asks for some of the first run's requests only: the others' results wait for a third."""
    path = tmp_path / "l.sqlite"
    with LLMServer(square_brain, Behaviour(batch_polls=10**9)) as server:
        asked = [request(number, server.url) for number in range(6)]

        async def work(client: LLMClient) -> None:
            tasks = [asyncio.create_task(client.ask(one)) for one in asked]
            while not any(batch["polls"] for batch in server.batches.values()):
                await asyncio.sleep(0.01)
            for task in tasks:
                task.cancel()

        with_client(path, work, batch=True)
        server.behaviour.batch_polls = 0
        assert ask_all(path, asked[:2], batch=True)[1].value.square == 1
        assert read_summary(path).waiting == 4
        assert ask_all(path, asked, batch=True)[5].value.square == 25
        assert len(server.batches) == 1
        assert set(server.books.billed.values()) == {1}


def test_an_endpoint_without_batches_says_so(tmp_path: Path) -> None:
    with LLMServer(square_brain, without_batches=True) as server:
        (error,) = ask_all(tmp_path / "l.sqlite", [request(1, server.url)], batch=True)
        assert isinstance(error, EndpointError)
        assert "batches" in str(error)
