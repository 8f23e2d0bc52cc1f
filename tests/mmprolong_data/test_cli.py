"""The command itself: what holds for every sub-command."""

from __future__ import annotations

import os
import subprocess
from importlib import metadata
from pathlib import Path

import pytest
from support.builds import command
from support.samples import write_dataset

from mmprolong_data.cli import main


def test_letters_that_the_locale_lacks_are_escaped(tmp_path: Path) -> None:
    root = tmp_path / "donn\u00e9es"
    write_dataset(root, "parquet")
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
