"""One thread a process: ranks are forked from this one, and two cores are shared."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.ranks import run_ranks
from support.samples import document_pages, make_sample, write_dataset
from support.training import exact, settings, train
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


@pytest.fixture(scope="session")
def dataset(qwen2_5: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two configs of documents of one to four small pages."""
    root = tmp_path_factory.mktemp("data") / "mmprolong"
    shards = {
        (config, "train"): [
            [
                exact(qwen2_5, make_sample(n, config, pages=1 + n % 4, images=document_pages(n, 1 + n % 4)))
                for n in range(part, part + size)
            ]
            for part in (0, size)
        ]
        for config, size in (("extract_single", 14), ("reasoning", 7))
    }
    write_dataset(root, shards=shards)
    return root


@pytest.fixture(scope="session")
def undisturbed(qwen2_5: Path, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on one process from start to end. Tests that go on with it take a copy."""
    out = tmp_path_factory.mktemp("runs") / "undisturbed"
    assert run_ranks(1, out.parent, train, settings(qwen2_5, dataset, out)) == ["done"]
    return out
