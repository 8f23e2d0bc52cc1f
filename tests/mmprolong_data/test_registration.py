"""``load_dataset("mmprolong", ...)`` from anywhere, with the oldest and the newest ``datasets`` that we allow."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.builds import ENVIRONMENT
from support.samples import write_dataset

from mmprolong_data.card_yaml import card_metadata
from mmprolong_data.errors import SettingsError
from mmprolong_data.roots import find_root, hub_url

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tests" / "support" / "use_load_dataset.py"
OLDEST = ("datasets==4.0.0", "fsspec==2025.3.0", "dill==0.3.8", "multiprocess==0.70.16")
"""The oldest release that ``setup.cfg`` allows, with the pins of its own; everything else is this environment's."""


def use(tmp_path: Path, order: str, *paths: Path) -> str:
    for container in ("parquet", "webdataset"):
        manifest = write_dataset(tmp_path / container, container)
        card = f"---\n{card_metadata(manifest)}---\n"
        (tmp_path / container / "README.md").write_text(card, encoding="utf-8")
    (tmp_path / "empty").mkdir()
    environment = ENVIRONMENT | {"HF_HOME": str(tmp_path / "cache"), "MMPROLONG_ROOT": ""}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, paths))
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *(str(tmp_path / name) for name in ("parquet", "webdataset", "empty")), order],
        capture_output=True, text=True, env=environment, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("order", ["before", "after"])
def test_load_dataset_from_anywhere(tmp_path: Path, order: str) -> None:
    """Our package imported before ``datasets``, and after it."""
    import datasets

    assert use(tmp_path, order) == f"fine with datasets {datasets.__version__}"


@pytest.mark.slow
def test_load_dataset_with_the_oldest_release(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path / "old")]
    done = subprocess.run([*command, *OLDEST], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot be installed: {done.stderr[-300:]}")
    assert use(tmp_path, "before", tmp_path / "old") == "fine with datasets 4.0.0"


def test_the_oldest_release_is_the_one_that_we_allow() -> None:
    requirement = re.search(r"^ +datasets>=([\d.]+),", (ROOT / "setup.cfg").read_text(), re.MULTILINE)
    assert requirement is not None
    assert OLDEST[0] == f"datasets=={requirement[1]}.0"


def test_what_counts_as_a_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MMPROLONG_ROOT", "hf://datasets/ORG/NAME@v1.0.0")
    assert find_root() == "hf://datasets/ORG/NAME@v1.0.0"
    assert find_root(revision="v2.0.0") == "hf://datasets/ORG/NAME@v2.0.0"
    write_dataset(tmp_path / "data", "parquet")
    assert find_root("data") == str(tmp_path / "data") == find_root("./data/")
    (tmp_path / "mmprolong").mkdir()
    (tmp_path / "mmprolong" / "README.md").write_text("# no card\n")
    assert find_root("data") == str(tmp_path / "data")
    (tmp_path / "mmprolong" / "README.md").write_text("---\nconfigs:\n- config_name: x\n---\n")
    assert find_root("data") is None
    monkeypatch.setenv("MMPROLONG_ROOT", "nowhere")
    (tmp_path / "mmprolong" / "README.md").unlink()
    with pytest.raises(SettingsError, match=r"MMPROLONG_ROOT = nowhere: no dataset there"):
        find_root()


@pytest.mark.parametrize("name", ["", "NAME", "ORG/NAME/x", "ORG/NAME@", "ORG/../NAME", "ORG/NAME@v1 0", "http://x/y"])
def test_names_that_the_hub_does_not_have(name: str) -> None:
    with pytest.raises(SettingsError, match="ORG/NAME"):
        hub_url(name)
