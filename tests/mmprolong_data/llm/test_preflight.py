"""Before a run: what is wrong with an endpoint is said at once, with its remedy, and what may pass is let pass."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from support.llm_requests import QUICK, square_brain
from support.llm_server import Behaviour, LLMServer

from mmprolong_data.llm import Endpoint, EndpointError
from mmprolong_data.llm.preflight import check_endpoints
from mmprolong_data.llm.summary import read_summary


def test_a_model_that_is_listed_costs_nothing(tmp_path: Path) -> None:
    with LLMServer(square_brain) as server:
        check_endpoints([Endpoint("model-a", server.url), Endpoint("m", server.url + "/")], tmp_path / "l", QUICK)
        assert server.books.requests == 0
    assert not (tmp_path / "l").exists()


@pytest.mark.parametrize("models", [None, (), ("another",)])
def test_one_that_is_not_listed_is_asked_for_a_few_tokens(models: tuple[str, ...] | None, tmp_path: Path) -> None:
    with LLMServer(lambda body: "OK", Behaviour(models=models), keep_bodies=True) as server:
        endpoint = Endpoint("deployment", server.url, price=(1.0, 10.0))
        check_endpoints([endpoint, endpoint], tmp_path / "l", QUICK)
        assert [body["max_tokens"] for body in server.books.bodies] == [16]
    summary = read_summary(tmp_path / "l")
    assert [(row.stage, row.outcome, row.attempts) for row in summary.rows] == [("preflight", "ok", 1)]
    assert summary.cost == pytest.approx(0.002)


@pytest.mark.parametrize(
    ("behaviour", "path", "named"),
    [
        (Behaviour(models=("a", "b"), serves=("a", "b")), "/v1", ["'gpt-9'", "it serves a, b"]),
        (Behaviour(models=None, serves=()), "/v1", ["'gpt-9'", "does not exist"]),
        (Behaviour(), "", ["usually ends in /v1", "'gpt-9'"]),
        (Behaviour(key="right"), "/v1", ["variable MY_KEY", "is refused"]),
        (Behaviour(models=None, status=lambda body: 402), "/v1", ["no credit"]),
        (Behaviour(models=None, fault_rate=1.0, faults=("html",)), "/v1", ["usually ends in /v1"]),
    ],
)
def test_what_is_wrong_is_named_with_its_remedy(
    behaviour: Behaviour, path: str, named: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "wrong-key")
    with LLMServer(lambda body: "OK", behaviour) as server:
        url = server.url.removesuffix("/v1") + path
        with pytest.raises(EndpointError) as caught:
            check_endpoints([Endpoint("gpt-9", url, "MY_KEY")], tmp_path / "l", QUICK)
    for words in [url, "Remedy: ", *named]:
        assert words in str(caught.value)
    assert "wrong-key" not in str(caught.value)


def test_a_key_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    with (
        LLMServer(square_brain, Behaviour(key="right")) as server,
        pytest.raises(EndpointError, match="MY_KEY; none is set"),
    ):
        check_endpoints([Endpoint("model-a", server.url, "MY_KEY")], tmp_path / "l", QUICK)
    with pytest.raises(EndpointError, match="environment variable MY_KEY"):
        check_endpoints([Endpoint("model-a", key_env="MY_KEY")], tmp_path / "l", QUICK)


def test_nobody_there(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(EndpointError, match=f"127.0.0.1:{port}.*cannot be reached.*Remedy: start the server"):
        check_endpoints([Endpoint("m", f"http://127.0.0.1:{port}/v1")], tmp_path / "l", QUICK)


@pytest.mark.parametrize("status", [400, 429, 500, 503])
def test_what_may_pass_or_is_about_the_request_is_left_to_the_run(status: int, tmp_path: Path) -> None:
    with LLMServer(square_brain, Behaviour(models=None, status=lambda body: status)) as server:
        check_endpoints([Endpoint("gpt-9", server.url)], tmp_path / "l", QUICK)
    assert [row.attempts for row in read_summary(tmp_path / "l").rows] == [1]
