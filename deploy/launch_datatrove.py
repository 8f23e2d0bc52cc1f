#!/usr/bin/env python3
"""One build launched by datatrove (pip install "mmprolong[build,datatrove]"): here, on Slurm or on Hugging Face Jobs.

python deploy/launch_datatrove.py local CORPUS OUT --tasks 4 --at-once 2
python deploy/launch_datatrove.py slurm CORPUS OUT --tasks 64 --partition cpu --cpus 4 -- --set select.pages=[8,50]
python deploy/launch_datatrove.py jobs CORPUS OUT --tasks 16 --logs hf://buckets/ORG/mmprolong-logs

What follows `--` goes to every `mmprolong build --part`. Run it again after a failure: complete slices are not made
twice. `slurm` returns at once: the parts are a job array, the end a job that waits for them; call it on a login node.
`local` and `jobs` wait for the parts; after `jobs`, run `mmprolong build --finish --out OUT`.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from datatrove.executor import JobsPipelineExecutor, LocalPipelineExecutor, SlurmPipelineExecutor
from mmprolong_builders.engines.on_datatrove import BuildPart, FinishBuild

from mmprolong_data.errors import MMProLongError

DEPENDENCIES = ["mmprolong[build,datatrove,s3]"]
"""What a Hugging Face Job installs."""


def command_line(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Read the command line. Returns the options, and the arguments for ``mmprolong build``."""
    split = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("where", choices=("local", "slurm", "jobs"))
    parser.add_argument("corpus", metavar="CORPUS", help="as every machine sees it")
    parser.add_argument(
        "out", metavar="OUT", help="the dataset: a folder that all machines share, or s3://BUCKET/FOLDER"
    )
    parser.add_argument("--tasks", type=int, required=True, metavar="N", help="parts of the build; keep it the same")
    parser.add_argument("--at-once", type=int, default=-1, metavar="N", help="tasks at a time (default: all)")
    parser.add_argument("--cpus", type=int, default=1, metavar="N", help="CPUs, and worker processes, of a task")
    parser.add_argument("--logs", metavar="DIR", help="datatrove's logs (default: OUT-logs)")
    parser.add_argument("--partition", default="cpu", help="slurm: partition (default: cpu)")
    parser.add_argument("--time", default="24:00:00", help="slurm: time limit of a task")
    parser.add_argument("--memory", type=int, default=2, metavar="GB", help="slurm: memory a CPU")
    parser.add_argument("--flavor", default="cpu-upgrade", help="jobs: hardware (default: cpu-upgrade)")
    options = parser.parse_args(words[:split])
    options.corpus, options.out = _absolute(options.corpus), _absolute(options.out)
    return options, words[split + 1 :]


def _absolute(path: str) -> str:
    """As every machine sees it: links are left alone, and so are URLs."""
    return path if "://" in path else os.path.abspath(path)  # noqa: PTH100


def slurm_settings(options: argparse.Namespace, logs: str) -> dict[str, Any]:
    """What both Slurm jobs have in common."""
    return {
        "partition": options.partition,
        "time": options.time,
        "mem_per_cpu_gb": options.memory,
        "qos": None,
        "skip_completed": False,  # the work folder knows better what is complete
        "logging_dir": logs,
        # The programs of this environment, by their place: a batch job does not activate it.
        "env_command": f'export PATH="{Path(sys.executable).parent}:$PATH"',
        # Else the job that adds up datatrove's statistics would wait for ever for an array that has failed.
        "sbatch_args": {"kill-on-invalid-dep": "yes"},
    }


def jobs_settings(options: argparse.Namespace, logs: str) -> dict[str, Any]:
    """For Hugging Face Jobs."""
    return {
        "tasks": options.tasks,
        "workers": options.at_once,
        "logging_dir": logs,
        "flavor": options.flavor,
        "dependencies": DEPENDENCIES,
        "skip_completed": False,
        "max_retries": 2,
        "job_name": "mmprolong",
    }


def main(words: list[str]) -> None:
    """Launch the build."""
    options, build = command_line(words)
    logs = options.logs or f"{options.out}-logs"
    parts = [BuildPart(options.corpus, options.out, build, options.cpus)]
    end = [FinishBuild(options.out)]
    if options.where == "slurm":
        first = SlurmPipelineExecutor(
            parts,
            tasks=options.tasks,
            workers=options.at_once,
            cpus_per_task=options.cpus,
            job_name="mmprolong",
            **slurm_settings(options, f"{logs}/parts"),
        )
        SlurmPipelineExecutor(
            end,
            tasks=1,
            job_name="mmprolong-finish",
            depends=first,
            run_on_dependency_fail=True,  # the end says which parts have to run again
            **slurm_settings(options, f"{logs}/finish"),
        ).run()
    elif options.where == "jobs":
        JobsPipelineExecutor(parts, **jobs_settings(options, logs)).run()
    else:
        LocalPipelineExecutor(parts, options.tasks, options.at_once, f"{logs}/parts", skip_completed=False).run()
        LocalPipelineExecutor(end, logging_dir=f"{logs}/finish", skip_completed=False).run()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except MMProLongError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
