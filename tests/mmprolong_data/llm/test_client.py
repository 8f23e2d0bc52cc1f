"""The client against a real server: faults, formats, limits, money, and what the ledger says afterwards."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.llm_requests import QUICK, ask_all, request, square_brain, with_client
from support.llm_server import FAULTS, Behaviour, LLMServer, identity, text_of

from mmprolong_data.errors import MMProLongError, SettingsError
from mmprolong_data.llm import BudgetReached, Draining, Endpoint, EndpointError, Image, Ledger, LLMClient, Unanswered
from mmprolong_data.llm.summary import read_summary
from mmprolong_data.llm.transport import open_connection


def test_a_reply_is_asked_once_and_never_again(tmp_path: Path) -> None:
    with LLMServer(square_brain) as server:
        asked = [request(7, server.url), request(7, server.url), request(8, server.url)]
        first = ask_all(tmp_path / "l.sqlite", asked)
        assert [reply.value.square for reply in first] == [49, 49, 64]
        assert server.books.requests == 2  # two of them were the same
        again = ask_all(tmp_path / "l.sqlite", asked)
        assert [reply.value.square for reply in again] == [49, 49, 64]
        assert all(reply.cached for reply in again)
        assert server.books.requests == 2


def test_a_hit_makes_no_picture(tmp_path: Path) -> None:
    made = []

    async def load() -> bytes:
        made.append(1)
        return b"\xff\xd8jpeg"

    with LLMServer(square_brain, keep_bodies=True) as server:
        picture = Image({"pdf": "ab" * 32, "page": 3}, load)
        asked = request(5, server.url, messages=[("user", ["Page 4", picture, "Square 5"])])
        for _ in range(2):
            (reply,) = ask_all(tmp_path / "l.sqlite", [asked])
            assert reply.value.square == 25
        assert len(made) == 1
        parts = server.books.bodies[0]["messages"][0]["content"]
        assert [part["type"] for part in parts] == ["text", "image_url", "text"]
        assert parts[1]["image_url"]["url"] == "data:image/jpeg;base64,/9hqcGVn"


@pytest.mark.parametrize(
    "changed",
    [
        {"prompt": "2"}, {"number": 1}, {"temperature": 0.5}, {"seed": 1}, {"max_tokens": 5}, {"stage": "other"},
        {"schema": None, "check": None}, {"messages": [("user", ["Square 6"])]},
        {"endpoint": Endpoint("model-b", "http://h/v1")}, {"endpoint": Endpoint("model-a", "http://i/v1")},
        {"endpoint": Endpoint("model-a", "http://h/v1", extra={"top_k": 3})},
    ],
)  # fmt: skip
def test_whatever_decides_the_reply_is_in_the_key(changed: dict[str, object]) -> None:
    assert request(5, "http://h/v1").key() != request(5, "http://h/v1", **changed).key()


def test_pictures_enter_the_key_as_what_they_are_made_from() -> None:
    async def load() -> bytes:
        raise AssertionError

    keys = {
        request(5, "http://h/v1", messages=[("user", [Image({"page": page, "quality": q}, load)])]).key()
        for page, q in [(1, 85), (2, 85), (1, 90)]
    }
    assert len(keys) == 3


def test_the_api_key_is_sent_and_stored_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", "secret-4711")
    with LLMServer(square_brain, Behaviour(key="secret-4711")) as server:
        (reply,) = ask_all(tmp_path / "l.sqlite", [request(5, server.url)])
        assert reply.value.square == 25
        assert request(5, server.url).key() == reply.key
        monkeypatch.setenv("TEST_KEY", "another")
        assert request(5, server.url).key() == reply.key
    for path in tmp_path.iterdir():
        assert b"secret-4711" not in path.read_bytes()


def test_a_header_of_its_own_for_the_key_and_a_query(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the dated APIs of Azure have it: api-key instead of Authorization, api-version in the query."""
    monkeypatch.setenv("TEST_KEY", "secret-4711")
    behaviour = Behaviour(key="secret-4711", key_header="api-key", query=(("api-version", "2024-12-01-preview"),))
    settings = replace(QUICK, key_header="api-key", query=dict(behaviour.query))
    with LLMServer(square_brain, behaviour) as server:
        (reply,) = ask_all(tmp_path / "l.sqlite", [request(5, server.url)], settings)
        assert reply.value.square == 25
        assert server.books.authorization == {""}
        (refused,) = ask_all(tmp_path / "other.sqlite", [request(5, server.url)])
        assert isinstance(refused, EndpointError)
    for path in tmp_path.iterdir():
        assert b"secret-4711" not in path.read_bytes()


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_alone_is_survived(fault: str, tmp_path: Path) -> None:
    timeout = 1.0 if fault == "stall" else 30.0
    with LLMServer(square_brain, Behaviour(1.0, faults=(fault,), most_faults=1)) as server:
        (reply,) = ask_all(tmp_path / "l.sqlite", [request(9, server.url)], replace(QUICK, timeout=timeout))
        assert reply.value.square == 81
    rows = {row.outcome: row.attempts for row in read_summary(tmp_path / "l.sqlite").rows}
    assert rows.pop("ok") == 1
    assert sum(rows.values()) == 1


def test_a_third_of_faults_under_a_rate_limit_loses_nothing(tmp_path: Path) -> None:
    """The figures of a real bad day, with a faster clock: 500 requests, 64 at once, 35 % faults, a cap on the rate."""
    deliberate = {f"Square {number}" for number in range(0, 500, 100)}

    def refuse(body: dict) -> str:  # type: ignore[type-arg]
        return "content policy" if text_of(body, "user") in deliberate else ""

    behaviour = Behaviour(0.35, rate=150, refuse=refuse, latency=0.02)
    with LLMServer(square_brain, behaviour) as server:
        path = tmp_path / "l.sqlite"
        settings = replace(QUICK, concurrency=64, timeout=2.0)
        replies = ask_all(path, [request(number, server.url) for number in range(500)], settings)
        assert not [
            reply for reply in replies if isinstance(reply, BaseException) and not isinstance(reply, Unanswered)
        ]
        unanswered = sum(isinstance(reply, Unanswered) for reply in replies)
        accepted = sum(getattr(reply, "value", None) is not None for reply in replies)
        refused = [reply for reply in replies if getattr(reply, "failure", "") == "refused"]
        assert len(refused) == 5
        assert accepted >= 0.99 * 495
        # Recorded, every one: as a stored call, or as unanswered and to be asked again.
        summary = read_summary(path)
        assert sum(count for *_, count in summary.calls) + unanswered == 500
        assert server.books.outcomes["rate"] > 0
        assert server.books.most_under_way <= 64
        again = ask_all(path, [request(number, server.url) for number in range(500)], settings)
        asked_again = sum(not reply.cached for reply in again if not isinstance(reply, BaseException))
        assert asked_again <= unanswered


def test_refusals_for_the_rate_cost_time_and_no_tries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float, *rest: Any) -> None:
        waited.append(seconds)
        await sleep(0)

    monkeypatch.setattr("mmprolong_data.llm.client.asyncio.sleep", note)
    with LLMServer(square_brain, Behaviour(1.0, faults=("429",), most_faults=9)) as server:
        (reply,) = ask_all(tmp_path / "l.sqlite", [request(3, server.url)], replace(QUICK, tries=2))
    assert reply.value.square == 9
    assert [seconds for seconds in waited if seconds == 0.05] == [0.05] * 9  # as its Retry-After says


def test_the_transport_is_aiohttp_without_retries_of_its_own() -> None:
    """Several times as many requests a second as the default one gives."""

    async def look() -> tuple[str, int]:
        connection = open_connection("http://127.0.0.1:9/v1", "NO_SUCH_KEY", QUICK)
        try:
            return type(connection._client).__name__, connection.max_retries
        finally:
            await connection.close()

    name, retries = asyncio.run(look())
    assert "aiohttp" in name.lower()
    assert retries == 0


def test_no_reply_is_billed_more_than_it_has_to(tmp_path: Path) -> None:
    with LLMServer(square_brain, Behaviour(0.3, faults=("429", "500", "html"))) as server:
        ask_all(tmp_path / "l.sqlite", [request(number, server.url) for number in range(60)])
        assert len(server.books.billed) == 60
        assert set(server.books.billed.values()) == {1}


@pytest.mark.parametrize(
    ("formats", "sent"),
    [(("json_schema",), "json_schema"), (("json_object",), "json_object"), ((), None)],
)
def test_the_reply_format_steps_down(formats: tuple[str, ...], sent: str | None, tmp_path: Path) -> None:
    with LLMServer(square_brain, Behaviour(formats=formats), keep_bodies=True) as server:
        for number in range(4):

            async def one(client: LLMClient, number: int = number) -> None:
                replies = [await client.ask(request(10 * number + i, server.url)) for i in range(3)]
                assert all(reply.value for reply in replies)

            with_client(tmp_path / "l.sqlite", one)
        kinds = [(body.get("response_format") or {}).get("type") for body in server.books.bodies]
        assert kinds[-1] == sent
        # It is learnt once a run, not for every request.
        assert server.books.outcomes["400"] == 4 * ("json_schema", "json_object", None).index(sent)


def test_parameters_that_an_endpoint_refuses_are_left_out(tmp_path: Path) -> None:
    behaviour = Behaviour(refused_fields=("max_tokens", "seed", "temperature"))
    with LLMServer(square_brain, behaviour, keep_bodies=True) as server:
        (reply,) = ask_all(tmp_path / "l.sqlite", [request(3, server.url)])
        assert reply.value.square == 9
        body = server.books.bodies[-1]
        assert body["max_completion_tokens"] == 2048
        assert body["response_format"]["type"] == "json_schema"
        assert not {"seed", "temperature", "max_tokens"} & set(body)


def test_a_useless_reply_is_repaired_with_other_seed_and_temperature(tmp_path: Path) -> None:
    with LLMServer(lambda body: '{"number": 1}', keep_bodies=True) as server:
        (reply,) = ask_all(tmp_path / "l.sqlite", [request(3, server.url)])
        assert reply.failure == "invalid"
        assert "square" in reply.detail
        seeds = [(body["seed"], body["temperature"]) for body in server.books.bodies]
        assert seeds == [(0, 0.0), (1, 0.35), (2, 0.7)]
        (again,) = ask_all(tmp_path / "l.sqlite", [request(3, server.url)])
        assert (again.failure, again.cached) == ("invalid", True)
        assert server.books.requests == 3


def test_unanswered_requests_are_asked_again_by_the_next_run(tmp_path: Path) -> None:
    with LLMServer(square_brain, Behaviour(1.0, faults=("500",))) as server:
        (error,) = ask_all(tmp_path / "l.sqlite", [request(3, server.url)])
        assert isinstance(error, Unanswered)
        assert "number 3" in str(error)
        assert server.books.requests == QUICK.tries
        server.behaviour.fault_rate = 0
        (reply,) = ask_all(tmp_path / "l.sqlite", [request(3, server.url)])
        assert reply.value.square == 9


def test_a_dead_endpoint_ends_the_run_early(tmp_path: Path) -> None:
    asked = [request(number, "http://127.0.0.1:9/v1") for number in range(200)]
    errors = ask_all(tmp_path / "l.sqlite", asked)
    assert all(isinstance(error, EndpointError) for error in errors)
    assert "127.0.0.1:9" in str(errors[0])
    summary = read_summary(tmp_path / "l.sqlite")
    assert summary.attempts < 100
    assert summary.uncertain == 0  # who was never reached has billed nothing


def test_a_wrong_key_ends_the_run_at_once_and_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", "wrong")
    with LLMServer(square_brain, Behaviour(key="right")) as server:
        errors = ask_all(tmp_path / "l.sqlite", [request(number, server.url) for number in range(100)])
        assert all(isinstance(error, EndpointError) for error in errors)
        assert "TEST_KEY" in str(errors[0])
        assert server.books.requests <= QUICK.concurrency


def test_a_key_that_the_endpoint_repeats_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", "secret-4711")
    with LLMServer(square_brain, Behaviour(refuse=lambda body: "no such key: secret-4711")) as server:
        (reply,) = ask_all(tmp_path / "l.sqlite", [request(1, server.url)])
        assert (reply.failure, reply.detail) == ("refused", "no such key: [API key]")
    for path in tmp_path.iterdir():
        assert b"secret-4711" not in path.read_bytes()


def test_moderation_of_one_request_does_not_end_the_run(tmp_path: Path) -> None:
    def moderate(body: dict) -> int:  # type: ignore[type-arg]
        return 403 if "Square 5" in text_of(body, "user") else 0

    with LLMServer(square_brain, Behaviour(status=moderate)) as server:

        async def work(client: LLMClient) -> list[str]:
            return [(await client.ask(request(number, server.url))).failure for number in (1, 5, 2)]

        assert with_client(tmp_path / "l.sqlite", work) == ["", "refused", ""]
        (error,) = ask_all(tmp_path / "m.sqlite", [request(5, server.url)])
        assert isinstance(error, EndpointError)  # nothing has worked yet: it is the key


def test_an_endpoint_that_refuses_everything_spoils_nothing(tmp_path: Path) -> None:
    with LLMServer(square_brain, Behaviour(refuse=lambda body: "maximum context length is 512 tokens")) as server:
        errors = ask_all(tmp_path / "l.sqlite", [request(number, server.url) for number in range(100)])
        assert any(isinstance(error, EndpointError) and "512 tokens" in str(error) for error in errors)
        server.behaviour.refuse = lambda body: ""
        replies = ask_all(tmp_path / "l.sqlite", [request(number, server.url) for number in range(100)])
        assert all(reply.value for reply in replies)


def test_no_key_for_the_public_endpoint_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    os.environ.pop("NO_SUCH_KEY", None)
    (error,) = ask_all(
        tmp_path / "l.sqlite", [request(1, "http://h/v1", endpoint=Endpoint("gpt", key_env="NO_SUCH_KEY"))]
    )
    assert isinstance(error, EndpointError)
    assert "NO_SUCH_KEY" in str(error)


@pytest.mark.parametrize(
    "url", ["localhost:8000", "http://me:secret@host/v1", "https://host/v1?key=secret", "ftp://x/"]
)
def test_base_urls_that_are_none_or_hold_secrets_are_refused(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Endpoint("m", url)
    assert "secret" not in str(caught.value) or "@" not in url


def test_a_run_never_costs_more_than_it_may_and_goes_on_when_asked_again(tmp_path: Path) -> None:
    # One reply costs (1000 * 1 + 100 * 10) / 1e6 = 0.002 dollars.
    with LLMServer(square_brain, Behaviour(latency=0.01)) as server:
        asked = [request(number, server.url, max_tokens=100) for number in range(40)]
        path = tmp_path / "l.sqlite"
        answered = 0
        for run in range(1, 5):
            results = ask_all(path, asked, most=0.026)
            stopped = [result for result in results if isinstance(result, BudgetReached)]
            done = [result for result in results if not isinstance(result, BaseException)]
            assert read_summary(path).cost == pytest.approx(0.002 * server.books.billed.total())
            assert server.books.billed.total() <= 13 * run
            assert len(done) > answered
            answered = len(done)
            if not stopped:
                break
        assert answered == 40
        assert set(server.books.billed.values()) == {1}


def test_a_limit_below_the_price_of_one_request_says_so(tmp_path: Path) -> None:
    with LLMServer(square_brain) as server:
        asked = [request(number, server.url, max_tokens=1000) for number in range(3)]
        errors = ask_all(tmp_path / "l.sqlite", asked, most=0.009)
        assert server.books.requests == 0
    assert all(isinstance(error, BudgetReached) for error in errors)
    assert "raise --max-cost above 0.01" in str(errors[0])
    assert "same command" not in str(errors[0])


def test_draining_stores_what_arrives_and_sends_nothing_new(tmp_path: Path) -> None:
    with LLMServer(square_brain, Behaviour(latency=0.3)) as server:

        async def work(client: LLMClient) -> list[object]:
            tasks = [asyncio.create_task(client.ask(request(number, server.url))) for number in range(50)]
            while server.books.under_way < QUICK.concurrency:
                await asyncio.sleep(0.01)
            await client.drain(5)
            return await asyncio.gather(*tasks, return_exceptions=True)

        results = with_client(tmp_path / "l.sqlite", work)
        stored = [result for result in results if not isinstance(result, BaseException)]
        assert len(stored) == server.books.requests == QUICK.concurrency
        assert sum(isinstance(result, Draining) for result in results) == 50 - len(stored)
        assert not read_summary(tmp_path / "l.sqlite").unknown


def test_replies_that_do_not_come_in_time_are_given_up_and_listed(tmp_path: Path) -> None:
    with LLMServer(square_brain, Behaviour(1.0, faults=("stall",))) as server:

        async def work(client: LLMClient) -> None:
            task = asyncio.create_task(client.ask(request(1, server.url)))
            while not server.books.under_way:
                await asyncio.sleep(0.01)
            await client.drain(0.05)
            with pytest.raises(Draining):
                await task

        with_client(tmp_path / "l.sqlite", work, QUICK)
    (unknown,) = read_summary(tmp_path / "l.sqlite").unknown
    assert (unknown["outcome"], unknown["about"]) == ("cancelled", "number 1")


def test_a_second_process_is_kept_out_of_a_ledger(tmp_path: Path) -> None:
    async def work(client: LLMClient) -> None:
        with pytest.raises(MMProLongError, match="another process"):
            with_client(tmp_path / "l.sqlite", None)  # type: ignore[arg-type]

    async def nested(client: LLMClient) -> None:
        from mmprolong_data.llm import Ledger

        with pytest.raises(MMProLongError, match="another process"):
            Ledger(tmp_path / "l.sqlite")

    with_client(tmp_path / "l.sqlite", nested)


def test_files_that_are_no_ledger_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine, not yours" * 100)
    with pytest.raises(MMProLongError, match="not a ledger"):
        ask_all(tmp_path / "notes.txt", [])
    with pytest.raises(MMProLongError, match="not a ledger"):
        read_summary(tmp_path / "notes.txt")
    with pytest.raises(MMProLongError, match="no ledger"):
        read_summary(tmp_path / "absent.sqlite")
    other = sqlite3.connect(tmp_path / "other.sqlite")
    other.execute("create table meta (name text, value text)")
    other.execute("insert into meta values ('version', '99')")
    other.commit()
    other.close()
    with pytest.raises(MMProLongError, match="version"):
        read_summary(tmp_path / "other.sqlite")


def test_the_name_that_the_endpoint_reports_is_kept(tmp_path: Path) -> None:
    with LLMServer(square_brain, Behaviour(reports="/models/model-a-2026")) as server:
        asked = request(3, server.url)
        for cached in (False, True):
            (reply,) = ask_all(tmp_path / "ledger", [asked])
            assert (reply.served, reply.cached) == ("model-a-2026", cached)


def test_a_ledger_of_the_version_before_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with LLMServer(square_brain) as server:
        asked = request(3, server.url)
        ask_all(path, [asked])
        db = sqlite3.connect(path)
        db.execute("alter table calls drop column served")
        db.execute("update meta set value = '1' where name = 'version'")
        db.commit()
        db.close()
        assert read_summary(path).attempts == 1  # cost reads it as it is
        (reply,) = ask_all(path, [asked])
        assert (reply.value.square, reply.cached, reply.served) == (9, True, "")
        (other,) = ask_all(path, [request(4, server.url)])
        assert other.served == "model-a"
        assert server.books.requests == 2


def test_the_waits_double_for_an_endpoint_in_trouble_only(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    client = LLMClient(ledger, replace(QUICK, backoff=1.0))
    fine, bad = deque([True, False] * 16), deque([True] + [False] * 31)

    def waits(recent: deque[bool]) -> list[int]:
        return [round(client._backoff(tries, recent) / 2.0 ** min(tries - 1, 6)) for tries in (1, 2, 3, 5, 9)]

    assert waits(bad) == [1, 1, 1, 1, 1]  # 1, 2, 4, 16, and never more than a minute
    assert waits(deque([True] * 31)) == [1, 1, 1, 1, 1]  # too few to tell
    assert max(client._backoff(tries, fine) for tries in range(1, 10) for _ in range(20)) <= 2.5
    ledger.close()


def test_identity_of_the_server_ignores_seed_and_temperature() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    assert identity(body | {"seed": 1}) == identity(body | {"seed": 2})
