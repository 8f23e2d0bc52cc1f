"""A build that is killed, stopped, starved of disk and locked out again and again ends with the same bytes."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.builds import ENVIRONMENT, SHORT, alive, children_of, command, content, run
from support.documents import write_corpus

RESTARTS = 20
ARGUMENTS = (*SHORT, "--workers", "2", "--set", "pack.documents_per_slice=1", "--set", "render.dpi=72")
PARENT = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSTOP)
CHILD = (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that can be filled and made read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], check=False)
    if made.returncode:
        pytest.skip("needs the right to mount a file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def files_of(out: Path) -> int:
    """A clock that ticks with the build: names in the folder. What is removed meanwhile does not count."""
    return len({name for _, folders, files in os.walk(out) for name in (*folders, *files)})


def disturb(arguments: list[str], out: Path, chance: random.Random) -> int:
    """Run a build and do harm at some moment of its progress. Returns its exit code."""
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
    start, ticks = files_of(out), chance.randrange(1, 14)
    seen: set[int] = set()
    harmed_child = chance.random() < 0.4
    try:
        while process.poll() is None and files_of(out) - start < ticks:
            seen.update(children_of(process.pid))
            time.sleep(0.01)
        children = children_of(process.pid)
        seen.update(children)
        if harmed_child and children:
            number, victim = chance.choice(CHILD), chance.choice(sorted(children))
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, number)
            still, target = files_of(out), chance.randrange(1, 4)
            deadline = time.monotonic() + 1.0  # it may wait for the one that was stopped
            while process.poll() is None and files_of(out) - still < target and time.monotonic() < deadline:
                time.sleep(0.004)
        if process.poll() is None:
            number = chance.choice(PARENT)
            process.send_signal(number)
            if number == signal.SIGSTOP:
                process.send_signal(signal.SIGKILL)
        seen.update(children_of(process.pid))
        process.wait(timeout=120)
    finally:
        process.kill()
        process.wait()
    deadline = time.monotonic() + 60
    while any(alive(child) for child in seen):
        assert time.monotonic() < deadline, "children outlive their parent"
        time.sleep(0.01)
    return process.returncode


def test_after_many_restarts_the_bytes_are_the_same(disk: Path, tmp_path: Path) -> None:
    pdfs = write_corpus(tmp_path / "pdfs", 4, pages=8)
    run("build", pdfs, "--out", tmp_path / "whole", *ARGUMENTS)
    whole = content(tmp_path / "whole")
    out = disk / "mmprolong"
    arguments = ("build", pdfs, "--out", out, *ARGUMENTS)
    chance = random.Random("chaos 1")
    codes = []
    for number in range(RESTARTS):
        codes.append(disturb(command(*arguments), out, chance))
        if codes[-1] == 0 and content(out) == whole:  # complete: something must be lost before it has work again
            chance.choice(sorted(out.glob("data/*/*"))).unlink()
        if number == 7:
            filler = disk / "filler"
            with filler.open("wb") as stream, contextlib.suppress(OSError):
                while stream.write(bytes(1 << 16)):
                    stream.flush()
            assert "no space left" in run(*arguments, code=1).stderr
            filler.unlink()
        if number == 14:
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
            assert "Read-only file system" in run(*arguments, code=1).stderr
            subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    assert len([code for code in codes if code != 0]) >= RESTARTS // 3, codes
    assert {-signal.SIGKILL, 143, 130} <= set(codes)
    run(*arguments)
    assert content(out) == whole
    assert not list(out.rglob("*.tmp"))
    run("verify", out)
