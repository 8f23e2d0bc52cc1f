"""Fixtures that every test folder may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real PDFs, or a skip that says how to get one."""
    folder = Path(os.environ.get("MMPROLONG_CORPUS") or ROOT.parent / "shared" / "corpus")
    if not any(folder.glob("*.pdf")):
        pytest.skip(f"no real PDFs in {folder}; set MMPROLONG_CORPUS to a folder of PDFs")
    return folder
