"""The children's temporary home: gone with its run, or with the next one if the run was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mmprolong_builders.ocr.home import PREFIX, Home, remove_left
from support.builds import SHORT, interrupt_when, run
from support.documents import write_report
from support.scans import picture_of, write_scanned

HOLD = "import sys\nfrom mmprolong_builders.ocr.home import Home\nprint(Home().path, flush=True)\nsys.stdin.read()"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go, in this process and in those that it starts."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    return folder


def homes(temporary: Path) -> list[Path]:
    return list(temporary.glob(f"{PREFIX}*"))


def test_a_home_whose_run_was_killed_goes_with_the_next_one_and_one_in_use_stays(temporary: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout is not None
        held = Path(process.stdout.readline().strip())
        (held / ".cache").mkdir()
        (held / ".cache" / "fonts").write_text("x")
        mine = Home()
        assert sorted(homes(temporary)) == sorted([held, mine.path])
        mine.close()
        mine.close()
        assert homes(temporary) == [held]
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert homes(temporary) == [held]
    next_one = Home()
    assert homes(temporary) == [next_one.path]
    next_one.close()
    assert not homes(temporary)


def test_what_is_no_home_of_ours_is_left_alone(temporary: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    (temporary / f"{PREFIX}link").symlink_to(elsewhere)
    (temporary / f"{PREFIX}file").touch()
    (temporary / "other").mkdir()
    if os.geteuid() == 0:
        (temporary / f"{PREFIX}another").mkdir()
        os.chown(temporary / f"{PREFIX}another", 12345, -1)
    before = sorted(temporary.iterdir())
    remove_left()
    assert sorted(temporary.iterdir()) == before
    assert (elsewhere / "kept").exists()


@pytest.mark.usefixtures("ocr_extra")
def test_a_build_that_was_killed_while_it_read_leaves_nothing_once_it_is_run_again(
    temporary: Path, tmp_path: Path
) -> None:
    report = write_report(tmp_path / "report.pdf", 8)
    scans = tmp_path / "scans"
    scans.mkdir()
    write_scanned(scans / "scan.pdf", [picture_of(report, number) for number in range(8)])
    build = ("build", scans, "--out", tmp_path / "out", "--workers", 1, *SHORT)
    build += ("--set", "parse.ocr=require", "--set", "ocr.model=tiny", "--set", "ocr_limits.window=2")
    code, errors = interrupt_when(lambda: any((tmp_path / "out").rglob("*.msgpack")), *build)
    assert code == -signal.SIGKILL, errors
    assert any(next(iter(homes(temporary))).iterdir())
    run(*build)
    assert not homes(temporary)
