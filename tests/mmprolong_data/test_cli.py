"""The command itself: what holds for every sub-command."""

from __future__ import annotations

import os
import re
import subprocess
from importlib import metadata
from pathlib import Path

import pytest
from support.builds import command, run
from support.samples import write_dataset

from mmprolong_data.cli import main

ROOT = Path(__file__).resolve().parents[2]
CARD = "---\nconfigs: []\n---\n"


def test_letters_that_the_locale_lacks_are_escaped(tmp_path: Path) -> None:
    root = tmp_path / "donn\u00e9es"
    write_dataset(root, "parquet")
    (root / "README.md").write_text(CARD)
    environment = os.environ | {"PYTHONIOENCODING": "ascii:strict"}
    done = subprocess.run(
        command("verify", root), capture_output=True, text=True, env=environment, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert r"donn\xe9es: everything is as the manifest says" in done.stdout


def test_an_interrupt_while_the_commands_are_imported_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(point: metadata.EntryPoint) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(metadata.EntryPoint, "load", interrupted)
    assert main(["verify", "mmprolong"]) == 130
    assert "run the same command again" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["set[v2]", "x[/nope]", "a:smile:b"])
def test_a_folder_is_shown_as_it_is_named(tmp_path: Path, name: str) -> None:
    root = tmp_path / name
    write_dataset(root, "parquet")
    (root / "README.md").write_text(CARD)
    assert f"{name}: everything is as the manifest says" in run("verify", name, cwd=tmp_path).stdout


def test_every_command_prints_with_such_a_console() -> None:
    sources = [path for folder in ("builders", "mmprolong_data", "trainer") for path in (ROOT / folder).rglob("*.py")]
    made = [path.name for path in sources if re.search(r"(?<!\w)Console\(", path.read_text(encoding="utf-8"))]
    assert made == ["terminal.py"]
