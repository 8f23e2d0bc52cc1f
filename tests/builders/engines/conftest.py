"""What the tests of engines share: a corpus, the build that is the reference, and a Slurm of one node."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.builds import SLICED, content, run
from support.documents import write_corpus
from support.slurm import Slurm, missing_programs, one_node


@pytest.fixture(scope="package")
def pdfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six reports and a file that is none."""
    folder = write_corpus(tmp_path_factory.mktemp("pdfs"), 6, pages=8)
    (folder / "page.pdf").write_text("<html></html>")
    return folder


@pytest.fixture(scope="package")
def whole(pdfs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a build in one go makes: the reference."""
    out = tmp_path_factory.mktemp("whole") / "mmprolong"
    run("build", pdfs, "--out", out, *SLICED)
    return content(out)


@pytest.fixture(scope="package")
def slurm() -> Iterator[Slurm]:
    """A Slurm of one node, or a skip that says what is missing (a failure where it is required)."""
    missing = missing_programs()
    if missing:
        message = f"not installed: {', '.join(missing)}; on Debian: apt-get install slurmctld slurmd slurm-client munge"
        if os.environ.get("MMPROLONG_REQUIRE_SLURM"):
            pytest.fail(message)
        pytest.skip(message)
    with one_node() as slurm:
        yield slurm


@pytest.fixture
def datatrove_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has what datatrove's executors put into the environment of this process removed at the end."""
    for name in ("NODE_RANK", "EXECUTOR", "NODE_IPS", "CPUS_PER_TASK", "MEM_PER_CPU", "GPUS_ON_NODE"):
        monkeypatch.setenv(f"DATATROVE_{name}", "")
