"""Fixtures that every test folder may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real PDFs, or a skip that says how to get one (a failure where they are required)."""
    folder = Path(os.environ.get("MMPROLONG_CORPUS") or ROOT.parent / "shared" / "corpus")
    if not any(folder.glob("*.pdf")):
        message = f"no real PDFs in {folder}; set MMPROLONG_CORPUS to a folder of PDFs"
        if os.environ.get("MMPROLONG_REQUIRE_CORPUS"):
            pytest.fail(message)
        pytest.skip(message)
    return folder
