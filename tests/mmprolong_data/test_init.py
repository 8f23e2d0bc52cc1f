"""``mmprolong init``: the card that it writes makes stock ``load_dataset`` read from elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.builds import ENVIRONMENT, command, run
from support.samples import make_sample, write_dataset

STOCK = """
import os, sys
from datasets import load_dataset
rows = load_dataset("mmprolong", "extract_multi", split="train", streaming=True)
print(" ".join(row["id"] for row in rows))
row = next(iter(rows))
assert row["images"][0].size == (84, 112), row["images"]
assert not any(name.startswith("mmprolong") for name in sys.modules)
sys.stdout.flush()
os._exit(0)  # read-ahead threads of Arrow's, still running, can abort an interpreter that ends in order
"""
KEYS = [make_sample(number, "extract_multi").id for number in range(5)]


def test_a_folder_elsewhere_is_read_by_stock_datasets(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data set", "parquet")
    (tmp_path / "work").mkdir()
    done = run("init", "../data set", cwd=tmp_path / "work")
    assert 'load_dataset("mmprolong", "extract_single", split="train", streaming=True)' in done.stdout
    environment = ENVIRONMENT | {"HF_HOME": str(tmp_path / "cache")}
    command_line = [sys.executable, "-c", STOCK]
    read = subprocess.run(
        command_line, cwd=tmp_path / "work", env=environment, capture_output=True, text=True, check=False
    )
    assert read.returncode == 0, read.stderr[-2000:]
    assert read.stdout.split() == KEYS
    run("init", "../data set", cwd=tmp_path / "work")  # again: its own card may be replaced


def test_what_is_not_ours_is_not_overwritten(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", "parquet")
    (tmp_path / "mmprolong").mkdir()
    (tmp_path / "mmprolong" / "README.md").write_text("mine")
    assert "--force" in run("init", "data", cwd=tmp_path, code=2).stderr
    assert (tmp_path / "mmprolong" / "README.md").read_text() == "mine"
    run("init", "data", "--force", cwd=tmp_path)
    assert "a dataset is here already" in run("init", "data", "--out", "data", "--force", cwd=tmp_path, code=2).stderr
    assert "Write it as ORG/NAME" in run("init", "nothing", cwd=tmp_path, code=2).stderr


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Any]:
    hub_server = pytest.importorskip("hub_server")
    with hub_server.HubServer(tmp_path / "hub") as server:
        yield server


UPLOAD = """
import sys
from huggingface_hub import HfApi
api = HfApi()
api.create_repo("org/long", repo_type="dataset")
for version in ("v1.9.0", "v1.10.0"):
    api.upload_folder(repo_id="org/long", repo_type="dataset", folder_path=sys.argv[1])
    api.create_tag("org/long", tag=version, repo_type="dataset")
api.create_tag("org/long", tag="latest", repo_type="dataset")
"""
LOAD = """
import os, sys
from mmprolong_data.loader import PageStream
from datasets import load_dataset
packs = PageStream("hf://datasets/org/long@v1.9.0", "extract_multi", max_tokens=300)
print(" ".join(sorted(s.record["id"] for pack in packs for s in pack.samples)))
rows = load_dataset("mmprolong", "extract_multi", split="train", streaming=True)
print(" ".join(row["id"] for row in rows))
sys.stdout.flush()
os._exit(0)  # read-ahead threads of Arrow's, still running, can abort an interpreter that ends in order
"""


def test_the_newest_version_of_the_hub_is_streamed(tmp_path: Path, hub: Any) -> None:
    write_dataset(tmp_path / "data", "parquet")
    (tmp_path / "work").mkdir()
    environment = os.environ | hub.environment(tmp_path / "cache")

    def python(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        line, folder = [sys.executable, *arguments], tmp_path / "work"
        done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr[-3000:]
        return done

    python("-c", UPLOAD, str(tmp_path / "data"))
    environment["MMPROLONG_ROOT"] = "hf://datasets/org/long@v1.9.0"
    assert [line.split() for line in python("-c", LOAD).stdout.splitlines()] == [sorted(KEYS), KEYS]
    done = python(*command("init", "org/long")[1:])
    assert "org/long@v1.10.0" in done.stdout
    assert python("-c", STOCK).stdout.split() == KEYS
    assert "no such dataset" in python(*command("init", "org/other")[1:], code=1).stderr
    assert "missing" in python(*command("init", "org/other@v1.0.0")[1:], code=1).stderr
