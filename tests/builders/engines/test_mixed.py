"""One build begun by one launcher, gone on with by others, killed in each: the same bytes; what status says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from support.builds import SLICED, command, content, half_made, interrupt_when, run, until


@pytest.mark.usefixtures("datatrove_environment")
def test_a_build_changes_its_launcher_and_is_killed_in_each(pdfs: Path, whole: dict[str, str], tmp_path: Path) -> None:
    datatrove = pytest.importorskip("datatrove.executor")
    from mmprolong_builders.engines.on_datatrove import BuildPart

    out = tmp_path / "mmprolong"
    line = ("build", pdfs, "--out", out, *SLICED)
    for more in (("--part", "3/4"), (), ("--part", "0/2")):
        code, errors = interrupt_when(lambda: bool(half_made(out)), *line, *more)
        assert code == -signal.SIGKILL, errors
        assert not (out / "manifest.json").exists()
    step = BuildPart(str(pdfs), str(out), [word for word in SLICED if word not in ("--workers", "1")], 1)
    datatrove.LocalPipelineExecutor(
        [step], tasks=4, local_tasks=1, local_rank_offset=3, workers=1, logging_dir=str(tmp_path / "logs"),
        skip_completed=False,
    ).run()  # fmt: skip
    assert {int(path.stem) for path in out.glob(".work/*/pack/*.json")} >= {3}
    run(*line, "--part", "1/2")
    run(*line, "--workers", "2")
    assert content(out) == whole


def test_status_of_parts_that_work_and_that_are_gone(pdfs: Path, tmp_path: Path) -> None:
    out = tmp_path / "mmprolong"
    with subprocess.Popen(
        command("build", pdfs, "--out", out, *SLICED, "--part", "1/2"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        until(lambda: half_made(out))
        os.kill(process.pid, signal.SIGSTOP)
        now = json.loads(run("status", out, "--json").stdout)
        assert now["slices"] == 6
        assert now["in_work"]
        assert set(now["in_work"]) <= {1, 3, 5}
        assert "In work now" in run("status", out).stdout
        process.kill()
    then = json.loads(run("status", out, "--json").stdout)
    assert then["in_work"] == []
    assert then["interrupted"] == now["in_work"]
