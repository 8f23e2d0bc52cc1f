"""The ready Slurm script on a real Slurm of one node: tasks killed and preempted in mid-slice give the same bytes."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from support.builds import SLICED, content, half_made, run, until
from support.slurm import Slurm

SCRIPT = Path(__file__).resolve().parents[3] / "deploy" / "slurm.sbatch"


def test_an_array_with_a_killed_and_a_preempted_task(
    slurm: Slurm, pdfs: Path, whole: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "mmprolong"
    slurm.environment["MMPROLONG"] = f"{sys.executable} -m mmprolong_data.cli"

    def submit(mode: str, *options: str) -> str:
        return slurm.submit(*options, "--cpus-per-task=1", SCRIPT, mode, pdfs, out, *SLICED)

    plan = submit("plan")
    parts = submit("part", f"--dependency=afterok:{plan}", "--array=0-2")
    end = submit("finish", f"--dependency=afterany:{parts}")
    killed, preempted = f"{parts}_0", f"{parts}_1"
    slurm.call("scontrol", "hold", preempted)

    slurm.until(lambda: slurm.states(parts).get(killed) == "RUNNING")
    process = slurm.process(killed)
    until(lambda: half_made(out) & {0, 3})
    os.kill(process, signal.SIGKILL)
    slurm.until(lambda: slurm.states(parts)[killed] == "FAILED")
    slurm.requeue(killed)
    slurm.call("scontrol", "release", preempted)
    until(lambda: half_made(out) & {1, 4})
    slurm.requeue(preempted)

    assert set(slurm.wait(parts).values()) == {"COMPLETED"}, slurm.logs()
    assert slurm.wait(end) == {end: "COMPLETED"}, slurm.logs()
    assert content(out) == whole
    run("verify", out)
    assert not list(out.glob("**/*.tmp"))
