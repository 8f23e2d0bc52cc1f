"""The command itself: what holds for every sub-command."""

from __future__ import annotations

import os
import re
import shlex
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
    assert made == []


@pytest.mark.parametrize("name", ["a\x1b[31mb", "a\x9b2Jb", "a\u202eb"])
def test_nothing_in_a_name_drives_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    root = tmp_path / name
    write_dataset(root, "parquet")
    (root / "README.md").write_text(CARD)
    assert main(["verify", str(root)]) == 0
    assert f"{ascii(name)[1:-1]}: everything is as the manifest says" in capsys.readouterr().out
    assert main(["verify", f"{root}-no"]) == 1
    assert f"{ascii(name)[1:-1]}-no: no dataset here" in capsys.readouterr().err


def test_colours_are_no_text_and_stay(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert main(["status", "no\x1bsuch"]) == 1
    assert re.match(r"\x1b\[1;31merror:\x1b\[0m.* (\x1b\[0m)?no\\x1bsuch: ", capsys.readouterr().err)


@pytest.mark.parametrize("words", [["cost"], ["diff", "b"], ["init"], ["status"], ["build", "--finish", "--out"]])
@pytest.mark.parametrize("name", ["x" * 300, "file/below"])
def test_an_impossible_path_is_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], name: str
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    assert main([*words, name]) in (1, 2)
    assert capsys.readouterr().err.startswith("error:")


@pytest.mark.parametrize("words", [["verify"], ["inspect"], ["cost"], ["convert", "--format=webdataset", "x"]])
def test_an_empty_path_and_a_url_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for value, cause in (("", "the path is empty"), ("hf://datasets/o/n", "not a URL (hf://...)")):
        with pytest.raises(SystemExit, match="2"):
            main([*words, value])
        assert cause in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_empty_part_is_not_the_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """``--part "$PART"`` with a variable that is not set must not build everything on every machine."""
    assert main(["build", "pdfs", "--part", ""]) == 2
    assert "--part" in capsys.readouterr().err
    assert main(["build", ""]) == 2
    assert "empty" in capsys.readouterr().err


@pytest.mark.parametrize("stream", ["/dev/zero", "/dev/urandom"])
def test_settings_without_an_end_are_refused(stream: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", ".", "--recipe", stream]) == 2
    assert f"{stream}: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (["init", "~no-such-user"], "not a dataset of the Hub"),
        (["decontaminate", "pdfs", "--against", "~no-such-user"], "no such benchmark"),
        (["prepare-model", "[b]/x", "out"], "neither a folder here nor to be had from the Hub"),
        (["recipe", "--set", "select.pages=" + "[" * 20_000], "not valid YAML"),
    ],
)
def test_a_mistake_is_named_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], cause: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) in (1, 2)
    assert cause in capsys.readouterr().err


@pytest.mark.parametrize("words", [["push", "set"], ["card", "set", "--repo"]])
@pytest.mark.parametrize("repo", ["x y z", "ORG", "ORG/../NAME", "ORG/N\x1bME"])
def test_a_repository_is_written_as_org_and_name(
    words: list[str], repo: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*words, repo])
    assert f"{repo!r}: write the repository as ORG/NAME" in capsys.readouterr().err


@pytest.mark.parametrize(("redirection", "code", "words"), [(">&-", 0, ""), (">/dev/full", 1, "error: No space left")])
def test_output_that_goes_nowhere_is_no_traceback(redirection: str, code: int, words: str) -> None:
    line = f"{shlex.join(command('recipe'))} {redirection}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith(words)
    assert "Traceback" not in done.stderr
