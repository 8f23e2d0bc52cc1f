"""Running ``mmprolong`` as its user does, in a process of its own, and comparing what it made."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

SHORT = (
    "--set", "select.pages=[8,50]", "--set", "select.validation=0.3", "--set", "parse.ocr=never", "--no-report",
)  # fmt: skip
"""Arguments that make a build of short test documents possible and quick, whether or not OCR is installed."""

SLICED = (*SHORT, "--workers", "1", "--set", "pack.documents_per_slice=1")
"""The same, with one document a slice: for builds that are spread over processes."""


def command(*arguments: str | Path) -> list[str]:
    """The command line of ``mmprolong`` in this environment."""
    return [sys.executable, "-m", "mmprolong_data.cli", *map(str, arguments)]


def run(
    *arguments: str | Path, code: int = 0, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``mmprolong`` to its end and check its exit code."""
    done = subprocess.run(
        command(*arguments), capture_output=True, text=True, cwd=cwd, env=env, timeout=500, check=False
    )
    assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    return done


def content(root: Path) -> dict[str, str]:
    """Path -> SHA-256 of all that must be equal in two equal builds: data/, index/, manifest.json and the card."""
    files = [*root.glob("data/**/*"), *root.glob("index/**/*"), root / "manifest.json", root / "README.md"]
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(files)
        if path.is_file()
    }


def interrupt_when(
    condition: Callable[[], bool], *arguments: str | Path, with_signal: int = signal.SIGKILL, patience: float = 120
) -> tuple[int, str]:
    """Start ``mmprolong``, send it a signal as soon as ``condition`` holds. Returns its exit code and error output.

    A process that ends before the condition holds is fine: its exit code is returned.
    """
    process = subprocess.Popen(command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + patience
        while process.poll() is None and not condition():
            assert time.monotonic() < deadline, "the condition never held"
            time.sleep(0.005)
        if process.poll() is None:
            process.send_signal(with_signal)
        _, errors = process.communicate(timeout=180)
    finally:
        process.kill()
        process.wait()
    return process.returncode, errors


def until(condition: Callable[[], object], patience: float = 100) -> None:
    """Wait until a condition holds; it is looked at every few milliseconds."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        time.sleep(0.005)


def half_made(out: Path) -> set[int]:
    """Slices of a build that were begun and are not complete."""
    begun = {int(path.name) for path in out.glob(".work/*/locks/*") if path.stat().st_size}
    return begun - {int(path.stem) for path in out.glob(".work/*/pack/*.json")}


def children_of(pid: int) -> list[int]:
    """Process ids of the direct children, whichever thread has started them (Linux)."""
    found: list[int] = []
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the thread or the process has ended
            found += map(int, listing.read_text().split())
    return found


def parent_of(pid: int) -> int:
    """Process id of the parent (Linux)."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def alive(pid: int) -> bool:
    """True if the process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


ENVIRONMENT = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
"""For processes that must not reach out."""
