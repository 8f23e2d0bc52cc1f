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


@pytest.fixture(scope="session")
def ocr_extra() -> None:
    """The ocr extra, or a skip that says how to get it (a failure where it is required)."""
    from mmprolong_builders.ocr.weights import missing_packages
    from mmprolong_builders.recipe import Ocr

    missing = missing_packages(Ocr())
    if missing:
        message = f'not installed: {", ".join(missing)}; pip install -e ".[ocr]"'
        if os.environ.get("MMPROLONG_REQUIRE_OCR"):
            pytest.fail(message)
        pytest.skip(message)
