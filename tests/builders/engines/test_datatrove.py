"""datatrove as launcher, here and on Slurm, with killed ranks: the same bytes; its Jobs executor as far as it goes."""

from __future__ import annotations

import copy
import importlib.util
import inspect
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from support.builds import SLICED, alive, content, half_made, run, until
from support.slurm import Slurm

ROOT = Path(__file__).resolve().parents[3]
LAUNCHER = ROOT / "deploy" / "launch_datatrove.py"
ARGUMENTS = tuple(word for i, word in enumerate(SLICED) if "--workers" not in SLICED[max(0, i - 1) : i + 1])
"""Without ``--workers``: the launcher says how many."""


@pytest.fixture(autouse=True)
def _datatrove() -> None:
    pytest.importorskip("datatrove", reason='pip install -e ".[datatrove]"')


def launch(where: str, pdfs: Path, out: Path, *more: str, tasks: int = 3) -> list[str]:
    """The command line of the ready launcher."""
    return [sys.executable, str(LAUNCHER), where, str(pdfs), str(out), "--tasks", str(tasks), *more, "--", *ARGUMENTS]


def commands(out: Path) -> dict[str, int]:
    """The parts of a build that are running: ``i/N`` -> process id."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if str(out) in words and "--part" in words and "mmprolong_data.cli" in words:
            found[words[words.index("--part") + 1]] = int(folder.name)
    return found


def test_a_killed_part_ends_the_run_and_the_same_command_goes_on(
    pdfs: Path, whole: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "mmprolong"
    line = launch("local", pdfs, out, "--at-once", "2")
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    until(lambda: half_made(out) & {0, 3})
    os.kill(commands(out)["0/3"], signal.SIGKILL)
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 1, text
    assert "--part 0/3: was ended by signal 9" in text
    assert "run the same pipeline again" in text
    until(lambda: not commands(out))  # no rank goes on without its launcher
    assert not (out / "manifest.json").exists()
    done = subprocess.run(line, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert content(out) == whole
    assert "2 of 6 slices" in (tmp_path / "mmprolong-logs" / "parts" / "logs" / "task_00001.log").read_text()
    statistics = json.loads((tmp_path / "mmprolong-logs" / "parts" / "stats.json").read_text())
    assert statistics[0]["stats"]["parts"]["total"] == 3


def test_a_killed_launcher_takes_its_parts_with_it(pdfs: Path, whole: dict[str, str], tmp_path: Path) -> None:
    """And marks of an earlier division into tasks are not taken for this one's."""
    out = tmp_path / "mmprolong"
    line = launch("local", pdfs, out, "--at-once", "1")
    with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until(lambda: half_made(out))
        parts = commands(out)
        process.kill()
    assert parts
    until(lambda: not any(map(alive, parts.values())))
    marks = tmp_path / "mmprolong-logs" / "parts" / "completions"
    marks.mkdir(parents=True, exist_ok=True)
    for rank in range(3):
        (marks / f"{rank:05d}").touch()
    subprocess.run(line, capture_output=True, timeout=200, check=True)
    assert content(out) == whole


def test_a_slice_that_fails_for_good_does_not_end_the_others(pdfs: Path, whole: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "mmprolong"
    run("build", pdfs, "--out", out, *SLICED, "--part", "7/8")  # the plan, and no slice
    obstacle = next(out.glob(".work/*/plan.parquet")).parent / "qa" / "00001.msgpack" / "in the way"
    obstacle.mkdir(parents=True)
    line = launch("local", pdfs, out, tasks=2)
    failed = subprocess.run(line, capture_output=True, text=True, timeout=200, check=False)
    assert failed.returncode == 3
    assert "slice 1: IsADirectoryError" in failed.stderr
    documents = json.loads((out / "manifest.json").read_bytes())["documents"]
    assert documents["left_out"] == {"not_pdf": 1, "slice_error": 1}
    assert documents["used"] == 5


def test_on_slurm_with_a_killed_rank(slurm: Slurm, pdfs: Path, whole: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "mmprolong"
    line = launch("slurm", pdfs, out, "--at-once", "2", "--partition", "all", "--time", "1:00:00")
    subprocess.run(line, env=slurm.environment, capture_output=True, timeout=60, check=True)
    jobs = [line.split() for line in slurm.call("squeue", "-h", "-o", "%F %j").splitlines()]
    # Each of them is followed by a job of the same name that adds up datatrove's statistics.
    parts, end = (str(min(int(job) for job, name in jobs if name == own)) for own in ("mmprolong", "mmprolong-finish"))
    killed = f"{parts}_0"
    until(lambda: half_made(out) & {0, 3})
    os.kill(commands(out)["0/3"], signal.SIGKILL)
    slurm.until(lambda: slurm.states(parts)[killed] == "FAILED")
    slurm.requeue(killed)
    assert set(slurm.wait(parts).values()) == {"COMPLETED"}, slurm.logs()
    assert slurm.wait(end)[f"{end}_0"] == "COMPLETED", slurm.logs()
    assert content(out) == whole


@pytest.fixture(scope="module")
def launcher() -> ModuleType:
    """The ready launcher as a module."""
    spec = importlib.util.spec_from_file_location("launch_datatrove", LAUNCHER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.usefixtures("datatrove_environment")
def test_what_a_hugging_face_job_runs(
    launcher: ModuleType,
    pdfs: Path,
    whole: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All but the call that starts the Jobs: their executor is made as the launcher makes it, and run."""
    from datatrove.executor import JobsPipelineExecutor
    from huggingface_hub import run_uv_job

    out = tmp_path / "mmprolong"
    words = ["jobs", str(pdfs), str(out), "--tasks", "2", "--logs", f"memory://{tmp_path.name}", "--", *ARGUMENTS]
    options, build = launcher.command_line(words)
    parts = [launcher.BuildPart(options.corpus, options.out, build, options.cpus)]
    executor = JobsPipelineExecutor(parts, **launcher.jobs_settings(options, options.logs))
    asked = inspect.signature(run_uv_job).parameters
    assert {"script_args", "dependencies", "python", "image", "env", "secrets", "flavor", "timeout", "labels"} <= set(
        asked
    )
    with executor.logging_dir.open("ranks_to_run.json", "w") as stream:
        json.dump([0, 1], stream)
    for job in ("0", "1"):
        monkeypatch.setenv("DATATROVE_JOB_ARRAY_INDEX", job)
        copy.deepcopy(executor).run()
        assert executor.logging_dir.isfile(f"completions/0000{job}")
    run("build", "--finish", "--out", out, "--no-report")
    assert content(out) == whole


def test_arguments_of_the_executors_are_those_that_datatrove_has(launcher: ModuleType) -> None:
    from datatrove.executor import JobsPipelineExecutor, SlurmPipelineExecutor

    options, build = launcher.command_line(
        ["slurm", "pdfs", "s3://bucket/out", "--tasks", "4", "--", "--max-cost", "1"]
    )
    assert build == ["--max-cost", "1"]
    assert Path(options.corpus).is_absolute()
    assert options.out == "s3://bucket/out"
    inspect.signature(SlurmPipelineExecutor).bind([], tasks=4, **launcher.slurm_settings(options, "logs"))
    inspect.signature(JobsPipelineExecutor).bind([], **launcher.jobs_settings(options, "logs"))


def test_without_datatrove_the_extra_is_named() -> None:
    code = """import sys
sys.modules["datatrove"] = None
from mmprolong_data.errors import MMProLongError
try:
    import mmprolong_builders.engines.on_datatrove
except MMProLongError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "mmprolong[datatrove]"' in done.stdout
