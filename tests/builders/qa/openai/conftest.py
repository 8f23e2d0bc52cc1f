"""What the tests of whole builds with a model share: a server that makes mistakes, and is quiet at first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from support.llm_server import LLMServer, identity
from support.model_builds import QUIET
from support.qa_brain import bad_at_times


@pytest.fixture(scope="module")
def server() -> Iterator[LLMServer]:
    """One server for all builds of a file; its ledgers are the builds' own."""
    with LLMServer(bad_at_times(lambda body: identity(body)[0] in "0123")) as server:
        yield server


@pytest.fixture
def quiet(server: LLMServer) -> None:
    """Nothing goes wrong unless a test says so."""
    server.behaviour = replace(QUIET)
