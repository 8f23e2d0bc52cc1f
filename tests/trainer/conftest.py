"""One thread a process: ranks are forked from this one, and two cores are shared."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.vlm import tiny_folder

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def qwen2_5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen2.5-VL."""
    return tiny_folder(tmp_path_factory.mktemp("qwen2_5"))


@pytest.fixture(scope="session")
def qwen3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen3-VL."""
    return tiny_folder(tmp_path_factory.mktemp("qwen3"), "qwen3_vl")
