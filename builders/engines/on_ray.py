"""Slices on a Ray cluster: blocks of them as tasks, begun again where a process or a machine is lost."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmprolong_data.errors import MMProLongError, SettingsError

from ..fetch import UnfetchedError
from ..recipe import Ray
from ..workspace import Workspace
from .block import BlockResult, Counts, Job, build_block
from .slices import ATTEMPTS, ProcessLost, attempts, describe, in_order, record_failure

LOOK = 0.5
"""Seconds between two looks at the progress."""
PATIENCE = 30.0
"""Seconds without any progress after which the user is told what the tasks wait for."""
_TASKS_PER_CPU = 4
_MOST_SLICES = 8

Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class _Block:
    """Slices of one task; ``counts`` is the progress that it has told of."""

    name: str
    numbers: list[int]
    counts: Counts = field(default_factory=dict)


class Collector:
    """A Ray actor that keeps what every running block has told of its progress."""

    def __init__(self) -> None:
        self._counts: dict[str, str] = {}

    def tell(self, block: str, counts: str) -> None:
        """``counts`` is JSON and replaces what was told of the block before."""
        self._counts[block] = counts

    def read(self) -> dict[str, str]:
        """Block -> its newest counts since the last call."""
        new, self._counts = self._counts, {}
        return new


class RayEngine:
    """Builds slices on a cluster.

    A task that is lost (its process ended, its machine went) is begun again by Ray, ``settings.retries`` times; then
    the slices of its block are tried one by one, and one that is lost again has failed for good.

    Args:
        ray: The connected module (``ray_session``).
        settings: What a task takes.
        gpus: GPUs of a task where the settings leave it open.
        private: The cluster is of this build alone: what a task asks for must be there now.

    Raises:
        SettingsError: the private cluster lacks what a task asks for.
    """

    def __init__(self, ray: Any, settings: Ray, gpus: float, *, private: bool) -> None:
        self._ray = ray
        self._settings = settings
        self._demand = {"CPU": float(settings.cpus), "GPU": settings.gpus if settings.gpus is not None else gpus}
        self._demand |= {"memory": float(settings.memory)} | settings.resources
        self._demand = {name: amount for name, amount in self._demand.items() if amount}
        if private and not self._fits():
            raise SettingsError(f"{self._shortage()} Remedy: more --workers, or smaller settings of ray.*")

    def run(
        self, job: Job, workspace: Workspace, numbers: Sequence[int], progress: Progress, note: Callable[[str], None]
    ) -> tuple[dict[int, str], float]:
        """Build slices. After an interrupt of the calling thread, or an error, tasks run until the session is closed.

        They are not cancelled: ``ray.cancel`` of a task that begins or ends in that moment can abort the whole process
        (Ray 2.60, "Tried to complete task that was not pending"). The end of the session ends them on all machines, as
        the death of the driver does.

        Args:
            job: What all blocks have in common.
            workspace: Its work folder.
            numbers: The slices.
            progress: Called with (stage, documents, pages).
            note: Shows a line.

        Returns:
            Slice -> error of those that failed for good, and the CPU seconds of all sandboxed processes.

        Raises:
            MMProLongError: what is not about one slice.
            UnfetchedError: slices are left for the next run, all others are done.
        """
        run = _Run(self, job, workspace, progress, note)
        ordered = in_order(workspace, numbers)
        size = self._settings.slices or self._slices_a_task(len(ordered))
        try:
            for start in range(0, len(ordered), size):
                run.submit(ordered[start : start + size])
            run.wait()
        finally:
            self._ray.kill(run.collector)
        if run.left:
            raise UnfetchedError(run.left[0])
        return dict(sorted(run.failed.items())), run.cpu_seconds

    def task(self) -> Any:
        """The task that builds a block."""
        taken = dict(self._demand)
        cpus, gpus, memory = (taken.pop(name, 0) for name in ("CPU", "GPU", "memory"))
        options: dict[str, Any] = {"num_cpus": cpus, "num_gpus": gpus, "resources": taken}
        if memory:
            options["memory"] = int(memory)
        # Ray does not count retries of tasks that it ended for want of memory; ``most`` of the slices ends those.
        return self._ray.remote(**options, max_retries=self._settings.retries, retry_exceptions=False)(run_block)

    def shortage(self) -> str:
        """Why no task runs, in one sentence; empty where some machine has what a task asks for."""
        return "" if self._fits() else self._shortage()

    @property
    def ray(self) -> Any:
        """The module."""
        return self._ray

    @property
    def tries(self) -> int:
        """How often a slice is begun at most in one run."""
        return self._settings.retries + ATTEMPTS

    def _slices_a_task(self, count: int) -> int:
        slots = max(1.0, self._ray.cluster_resources().get("CPU", 1.0) / self._settings.cpus)
        return max(1, min(_MOST_SLICES, int(count / (_TASKS_PER_CPU * slots))))

    def _fits(self) -> bool:
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        return any(all(node.get(name, 0) >= amount for name, amount in self._demand.items()) for node in nodes)

    def _shortage(self) -> str:
        def listing(values: Mapping[str, float]) -> str:
            return ", ".join(f"{name} {amount:g}" for name, amount in sorted(values.items()) if name in self._demand)

        nodes = [listing(node["Resources"]) or "none of it" for node in self._ray.nodes() if node["Alive"]]
        have = "; ".join(sorted(set(nodes))) or "no machine"
        return f"A task asks for {listing(self._demand)}, and the Ray cluster has machines with: {have}."


class _Run:
    """The tasks of one build that are under way."""

    def __init__(
        self, engine: RayEngine, job: Job, workspace: Workspace, progress: Progress, note: Callable[[str], None]
    ) -> None:
        self.failed: dict[int, str] = {}
        self.left: list[str] = []
        self.cpu_seconds = 0.0
        self._engine = engine
        self._ray = engine.ray
        self._workspace = workspace
        self._progress = progress
        self._note = note
        self._pending: dict[Any, _Block] = {}
        self._finished: Counts = {}
        self._shown: Counts = {}
        self._blocks = 0
        self._task = engine.task()
        self._job = self._ray.put(job.to_json())
        here = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            self._ray.get_runtime_context().get_node_id(), soft=True
        )
        self.collector = self._ray.remote(num_cpus=0, max_restarts=-1, scheduling_strategy=here)(Collector).remote()

    def submit(self, numbers: list[int]) -> None:
        """Make one task of these slices."""
        self._blocks += 1
        block = _Block(f"{self._blocks}", numbers)
        most = {number: attempts(self._workspace, number) + self._engine.tries for number in numbers}
        reference = self._task.remote(self._job, block.name, json.dumps(most), self.collector)
        self._pending[reference] = block

    def wait(self) -> None:
        """Until all tasks are done."""
        moved = time.monotonic()
        while self._pending:
            done, _ = self._ray.wait(list(self._pending), num_returns=1, timeout=LOOK)
            for reference in done:
                self._end(reference)
            if self._show() or done:
                moved = time.monotonic()
            elif time.monotonic() - moved > PATIENCE:
                moved = float("inf")
                if why := self._engine.shortage():
                    self._note(f"Waiting for machines. {why}")

    def _end(self, reference: Any) -> None:
        block = self._pending.pop(reference)
        errors = self._ray.exceptions
        try:
            result = BlockResult.from_json(self._ray.get(reference))
        except errors.RayTaskError as error:
            if isinstance(error.cause, ImportError):
                raise MMProLongError(
                    f"A machine of the Ray cluster cannot run mmprolong: {error.cause}."
                    ' Remedy: pip install "mmprolong[build,ray]" of the same version on all machines'
                ) from None
            raise
        except (errors.TaskUnschedulableError, errors.RuntimeEnvSetupError) as error:
            raise MMProLongError(f"The Ray cluster cannot run the tasks: {_first_line(error)}") from None
        except errors.RayError as error:
            self._lost(block, error)
            return
        if result.error:
            raise MMProLongError(result.error)
        if result.left:
            self.left.append(result.left)
        self.failed |= result.failed
        self.cpu_seconds += result.cpu_seconds
        _add(self._finished, result.counts)

    def _lost(self, block: _Block, error: Exception) -> None:
        """Ray has given a task up: go on with each of its slices alone, and give up one that was alone."""
        if len(block.numbers) > 1:
            why = _first_line(error)
            self._note(f"{len(block.numbers)} slices were lost with their process; now one by one ({why})")
            for number in in_order(self._workspace, block.numbers):
                self.submit([number])
            return
        (number,) = block.numbers
        lost = ProcessLost(f"its process ended every time while it was built ({type(error).__name__})")
        record_failure(self._workspace, number, lost)
        self.failed[number] = describe(self._workspace, lost)

    def _show(self) -> bool:
        """Tell of the progress since the last call. Returns whether there was any."""
        blocks = {block.name: block for block in self._pending.values()}
        try:
            for name, text in self._ray.get(self.collector.read.remote(), timeout=LOOK).items():
                if name in blocks:
                    blocks[name].counts = json.loads(text)
        except self._ray.exceptions.RayError:
            pass  # it is being started, or begun again: what blocks tell next says it all
        sums: Counts = {}
        for counts in (self._finished, *(block.counts for block in blocks.values())):
            _add(sums, counts)
        moved = sums != self._shown
        for stage, (documents, pages) in sums.items():
            before = self._shown.get(stage, [0, 0])
            if [documents, pages] != before:
                self._progress(stage, documents - before[0], pages - before[1])
        self._shown = sums
        return moved


def run_block(job: str, block: str, most: str, collector: Any) -> str:
    """The Ray task. It is found by its name on every machine: no code travels."""

    def tell(counts: Counts) -> None:
        collector.tell.remote(block, json.dumps(counts))

    return build_block(job, {int(number): times for number, times in json.loads(most).items()}, tell)


def _add(sums: Counts, counts: Counts) -> None:
    for stage, (documents, pages) in counts.items():
        own = sums.setdefault(stage, [0, 0])
        own[0] += documents
        own[1] += pages


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
