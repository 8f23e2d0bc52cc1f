"""A disk that runs full in mid-build: a clear error, nothing lost, and the same command finishes later."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.builds import SHORT, content, run
from support.documents import write_corpus


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1.5 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=False)


def test_a_full_disk_is_an_error_that_says_how_to_go_on(small_disk: Path, tmp_path: Path) -> None:
    pdfs = write_corpus(tmp_path / "pdfs", 3)
    arguments = ("--workers", 2, "--set", "pack.documents_per_slice=1", *SHORT)
    done = run("build", pdfs, "--out", small_disk / "mmprolong", *arguments, code=1)
    assert "no space left" in done.stderr
    assert "run the same command again" in done.stderr
    assert not (small_disk / "mmprolong" / "manifest.json").exists()

    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    run("build", pdfs, "--out", small_disk / "mmprolong", *arguments)
    run("verify", small_disk / "mmprolong")
    run("build", pdfs, "--out", tmp_path / "other", *arguments)
    assert content(small_disk / "mmprolong") == content(tmp_path / "other")
