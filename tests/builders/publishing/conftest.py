"""A Hub on loopback, seen through both upload paths."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import HubServer
from mmprolong_builders.publishing import hub as module


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A Hub, and this process logged in with a token that may write; steps that are tried again do not wait."""
    with HubServer(tmp_path / "hub") as server:
        monkeypatch.setenv("HF_TOKEN", "hf_write")
        monkeypatch.setattr(module, "WAITS", (0.0,))
        yield server


@pytest.fixture(params=["xet", "lfs"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways in which the client uploads."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", request.param == "lfs")
    return str(request.param)
