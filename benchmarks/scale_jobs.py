"""All slices of a frozen plan by one engine, in a process of its own: what ``scale.py`` starts. Prints one JSON object.

    python scale_jobs.py bare OUT               one process, no sandbox: what isolation is measured against
    python scale_jobs.py datatrove OUT WORKERS  datatrove's LocalPipelineExecutor, a task a slice
    python scale_jobs.py raydata OUT WORKERS    Ray Data, a row a slice

Every engine calls the same code for a slice, without the sandbox, so that only the engines differ. The peers run in
environments of their own, with this package installed there.
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mmprolong_builders.pack import SliceBuilder
from mmprolong_builders.pipeline import load_plan
from mmprolong_builders.reasons import DocumentError
from mmprolong_builders.recipe import Recipe
from mmprolong_builders.sandbox import Outcome
from mmprolong_builders.worker import TASKS
from mmprolong_builders.workspace import Workspace

from mmprolong_data.settings import from_plain

CPU: Counter[str] = Counter()
"""Task -> CPU seconds in this process."""


class InlinePool:
    """Runs tasks in this very process, with no protection from a document."""

    def map(self, task: str, payloads: Iterable[dict[str, Any]], **_: Any) -> Iterator[Outcome]:
        """As ``SandboxPool.map``."""
        target, fallback = TASKS[task]
        module, _, name = target.partition(":")
        function = getattr(importlib.import_module(module), name)
        for payload in payloads:
            started = time.process_time()
            try:
                outcome = Outcome(function(payload))
            except DocumentError as error:
                outcome = Outcome(None, error.reason, error.detail)
            except Exception as error:  # noqa: BLE001 - as in a child
                outcome = Outcome(None, fallback, str(error))
            CPU[task] += time.process_time() - started
            yield outcome


def build_slice(out: str, number: int) -> None:
    """Build one slice of the plan that was frozen in a folder."""
    workspace = Workspace.open(Path(out))
    begun = workspace.begun() or {}
    recipe = from_plain(Recipe, begun["recipe"])
    pool: Any = InlinePool()
    SliceBuilder(
        workspace, load_plan(workspace), recipe, begun["containers"], pool, lambda *_: None, lambda: None
    ).build(number)


def slices(out: str) -> int:
    """Number of slices."""
    return load_plan(Workspace.open(Path(out))).num_slices


def bare(out: str, _: int) -> None:
    """One after the other."""
    for number in range(slices(out)):
        build_slice(out, number)


def run_rank(data: Any, rank: int, world_size: int, out: str) -> Iterator[Any]:
    """A step of a datatrove pipeline."""
    build_slice(out, rank)
    yield from data or ()


def datatrove(out: str, workers: int) -> None:
    """datatrove, a task a slice."""
    from functools import partial

    from datatrove.executor import LocalPipelineExecutor

    with tempfile.TemporaryDirectory() as logs:
        LocalPipelineExecutor(
            pipeline=[partial(run_rank, out=out)], tasks=slices(out), workers=workers, logging_dir=logs
        ).run()


def raydata(out: str, workers: int) -> None:
    """Ray Data, a row a slice."""
    import ray

    ray.init(address="local", num_cpus=workers, include_dashboard=False, logging_level="ERROR", log_to_driver=False)

    def one(row: dict[str, Any]) -> dict[str, Any]:
        build_slice(out, int(row["id"]))
        return {"id": row["id"]}

    count = slices(out)
    done = ray.data.range(count, override_num_blocks=count).map(one, num_cpus=1)
    assert sum(1 for _ in done.iter_rows()) == count  # ``count()`` would not run anything
    ray.shutdown()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    import resource

    import scale_jobs  # by its name, so that engines can pickle its functions

    job, folder = sys.argv[1], sys.argv[2]
    getattr(scale_jobs, job)(folder, int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    print(json.dumps({"tasks": scale_jobs.CPU, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
