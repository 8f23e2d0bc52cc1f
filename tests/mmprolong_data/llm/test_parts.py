"""The parts of the client by themselves: the gate, JSON in replies, headers, statuses."""

from __future__ import annotations

import asyncio
import email.utils
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmprolong_data.llm.gate import WINDOW, Gate
from mmprolong_data.llm.replies import BadReply, find_object
from mmprolong_data.llm.transport import retry_after, served_name, status_failure


def test_the_gate_lets_so_many_through_and_no_more() -> None:
    async def work() -> int:
        gate, most, active = Gate(3), 0, 0

        async def one() -> None:
            nonlocal most, active
            async with gate:
                active += 1
                most = max(most, active)
                await asyncio.sleep(0.001)
                active -= 1

        await asyncio.gather(*(one() for _ in range(20)))
        assert gate.active == 0
        return most

    assert asyncio.run(work()) == 3


def test_the_gate_shrinks_for_many_refusals_only_and_grows_again() -> None:
    gate = Gate(100)
    for i in range(10 * WINDOW):
        gate.report(i % 10 == 0)  # 10 % of refusals show that the cap is used
    assert gate.limit == pytest.approx(100, abs=1)
    for _ in range(WINDOW):
        gate.report(True)
    assert gate.limit == pytest.approx(70, abs=1)
    for _ in range(50 * WINDOW):
        gate.report(True)
    assert gate.limit == 2
    for _ in range(10_000):
        gate.report(False)
    assert gate.limit == 100


def test_requests_under_way_give_their_places_back_when_the_limit_has_shrunk() -> None:
    async def work() -> None:
        gate, order = Gate(10), []

        async def one(number: int) -> None:
            async with gate:
                await pause.wait()
                await gate.retake()
                order.append(number)
                assert gate.active <= int(gate.limit)

        pause = asyncio.Event()
        tasks = [asyncio.create_task(one(number)) for number in range(12)]
        await asyncio.sleep(0)
        assert gate.active == 10
        for _ in range(50 * WINDOW):
            gate.report(True)
        pause.set()
        await asyncio.sleep(0)
        assert gate.active == 2
        tasks[0].cancel()  # one that waits for a place again
        await asyncio.gather(*tasks, return_exceptions=True)
        assert sorted(order) == list(range(1, 12))
        assert max(order.index(10), order.index(11)) >= 9  # those that had begun came first
        assert gate.active == 0

    asyncio.run(work())


def test_a_cancelled_wait_takes_no_place() -> None:
    async def work() -> None:
        gate = Gate(1)
        async with gate:
            waiting = [asyncio.create_task(gate.__aenter__()) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[0].cancel()
            await asyncio.sleep(0)
        await waiting[1]
        assert not waiting[2].done()
        waiting[1].result()
        await gate.__aexit__(None, None, None)
        await waiting[2]
        await gate.__aexit__(None, None, None)
        assert gate.active == 0

    asyncio.run(work())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1}', {"a": 1}),
        ('Evidence: page 3 {table}.\n```json\n{"a": {"b": 2}}\n```\nDone.', {"a": {"b": 2}}),
        ('<think>maybe {"a": 0}</think> {"a": 1}', {"a": 1}),
        ('{"a": "a brace } and a { in a string"}', {"a": "a brace } and a { in a string"}),
    ],
)
def test_json_is_found_in_what_models_write(text: str, found: dict[str, object]) -> None:
    assert find_object(text)[0] == found


@pytest.mark.parametrize("text", ["", "no", '{"a": 1', "{'a': 1}", '{"a": NaN}', "[1, 2]", "{" * 100_000])
def test_replies_without_an_object_are_told_apart(text: str) -> None:
    with pytest.raises(BadReply) as caught:
        find_object(text)
    assert caught.value.kind == "no_json"


@given(st.text(alphabet='{}[]":,a1 \\\n', max_size=200))
def test_no_text_breaks_the_search(text: str) -> None:
    try:
        value, _ = find_object(text)
    except BadReply:
        return
    assert isinstance(value, dict)


def test_retry_after_in_its_three_forms() -> None:
    assert retry_after({"retry-after": "2"}) == 2
    assert retry_after({"retry-after-ms": "250"}) == 0.25
    in_a_minute = retry_after({"retry-after": email.utils.formatdate(time.time() + 60, usegmt=True)})
    assert in_a_minute == pytest.approx(60, abs=2)
    for text in ("", "soon", "-1", "1e99"):
        assert retry_after({"retry-after": text}) is None


@pytest.mark.parametrize(
    ("status", "text", "outcome"),
    [
        (429, "slow down", "throttled"),
        (429, '{"error": {"code": "insufficient_quota", "message": "You exceeded your current quota"}}', "fatal"),
        (402, "pay", "fatal"), (401, "who?", "fatal"), (404, "no such model", "fatal"), (400, "bad", "refused"),
        (413, "too large", "refused"), (422, '{"detail": [{"msg": "x"}]}', "refused"), (500, "", "server_error"),
        (503, "<html>", "server_error"), (408, "", "server_error"), (529, "overloaded", "server_error"),
    ],
)  # fmt: skip
def test_what_a_status_means(status: int, text: str, outcome: str) -> None:
    assert status_failure(status, text, {}).outcome == outcome


@pytest.mark.parametrize(
    ("reported", "published"),
    [
        ("gpt-x-2026-10-01", "gpt-x-2026-10-01"),
        ("org/model", "org/model"),
        ("models/pro", "models/pro"),
        ("/home/me/models/m.gguf", "m.gguf"),
        ("./m.gguf", "m.gguf"),
        ("C:\\models\\m.gguf", "m.gguf"),
        ("https://me:secret@host/m", "m"),
        ("m\n| injected\u0000", "m | injected"),
        ("m for sk-12345", "m for [API key]"),
        (None, ""),
        (3, ""),
        ("m" * 500, "m" * 120),
    ],
)
def test_a_reported_name_is_fit_to_be_published(reported: object, published: str) -> None:
    assert served_name(reported, "sk-12345") == published
