"""datatrove as launcher (Slurm, Hugging Face Jobs, this machine): steps of its pipelines that run parts and the end."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mmprolong_data.errors import MMProLongError, missing_extra

try:
    from datatrove.pipeline.base import PipelineStep
    from datatrove.utils.logging import logger
except ImportError:
    raise missing_extra("datatrove", "datatrove") from None

FAILED_SLICES = 3
"""Exit code of ``mmprolong build``: all done but for slices that failed for good."""
STOPPED_AT_COST = 4
"""Exit code of ``mmprolong build``: ``--max-cost`` was reached."""
_LINES = 20
"""Lines of a failed command that its error shows."""
_PR_SET_PDEATHSIG = 1


class SlicesFailed(MMProLongError):
    """All is done and published but for slices that failed for good."""

    exit_code = FAILED_SLICES


class _Command(PipelineStep):  # type: ignore[misc]  # datatrove has no types
    """Runs ``mmprolong`` in a process of its own.

    So a kill (out of memory) costs the rank, which then says so, and not the launcher: a rank that dies itself makes
    datatrove's local executor wait for ever.
    """

    type = "mmprolong"

    def _call(self, arguments: Sequence[str]) -> int:
        """Run a command; its lines go to the log of the rank.

        Returns:
            The exit code: 0, ``FAILED_SLICES`` or ``STOPPED_AT_COST``.

        Raises:
            MMProLongError: it ended with another one.
        """
        command = [sys.executable, "-m", "mmprolong_data.cli", *arguments]
        last: deque[str] = deque(maxlen=_LINES)
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", preexec_fn=_end_with_parent(),
        )  # fmt: skip
        try:
            assert process.stdout is not None
            for line in process.stdout:
                logger.info("{}", line.rstrip())
                last.append(line)
            code = process.wait()
        finally:
            if process.poll() is None:  # an exception of this process: a signal, most likely
                process.terminate()
                process.wait()
        if code in (0, FAILED_SLICES, STOPPED_AT_COST):
            return code
        ended = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        raise MMProLongError(
            f"mmprolong {' '.join(arguments)}: {ended}. What is complete is kept. Remedy: see to the cause, then run"
            f" the same pipeline again\n{''.join(last)}"
        )


class BuildPart(_Command):
    """One part of a build: rank i of N tasks builds what ``mmprolong build --part i/N`` does.

    Nothing is published: ``FinishBuild`` does that, when all ranks are done. Give the executor
    ``skip_completed=False``: what is complete is known slice by slice, and datatrove's own marks say nothing about the
    settings or the number of tasks that they were made with. Slices that fail for good, and a part that stopped at
    ``--max-cost``, are logged and counted as a statistic and do not fail the rank: launchers try failed ranks again,
    which would help neither. ``FinishBuild`` names what is missing.

    Args:
        corpus: Folders, PDFs or text files of paths, as every machine sees them.
        out: The folder of the dataset, which all machines share, or a URL (``s3://BUCKET/FOLDER``).
        arguments: More arguments of ``mmprolong build``, such as ``["--set", "select.pages=[8,50]"]``.
        workers: Processes of a rank. Default: the CPUs that the executor gives a task; 1 where it does not say.
    """

    name = "build --part"

    def __init__(
        self, corpus: str | Sequence[str], out: str, arguments: Iterable[str] = (), workers: int | None = None
    ) -> None:
        super().__init__()
        self.corpus = [corpus] if isinstance(corpus, str) else [str(path) for path in corpus]
        self.out = str(out)
        self.arguments = [str(argument) for argument in arguments]
        self.workers = workers

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterable[Any]:
        """Build the slices of the part.

        Args:
            data: Handed on as it is.
            rank: i.
            world_size: N.

        Raises:
            MMProLongError: the command ended with an error.
        """
        workers = self.workers or max(1, int(os.environ.get("DATATROVE_CPUS_PER_TASK") or 1))
        own = ["--workers", str(workers), "--part", f"{rank}/{world_size}"]
        with self.track_time("part"):
            code = self._call(["build", *self.corpus, "--out", self.out, *self.arguments, *own])
        self.stat_update("parts", unit="part")
        if code == FAILED_SLICES:
            self.stat_update("parts with slices that failed for good", unit="part")
            logger.warning("Part {}/{}: slices failed for good; all others are complete", rank, world_size)
        if code == STOPPED_AT_COST:
            self.stat_update("parts stopped at --max-cost", unit="part")
            logger.warning("Part {}/{} stopped at --max-cost; run the pipeline again to go on", rank, world_size)
        return data or ()


class FinishBuild(_Command):
    """The end of a build: publishes what all parts have built, or says which of them have to run again.

    For a pipeline of one task that depends on the parts; with Slurm, ``run_on_dependency_fail=True`` keeps it from
    waiting for ever where a part has failed.

    Args:
        out: The folder or URL of the dataset.
        arguments: More arguments of ``mmprolong build --finish``, such as ``["--incomplete"]``.
    """

    name = "build --finish"

    def __init__(self, out: str, arguments: Iterable[str] = ()) -> None:
        super().__init__()
        self.out = str(out)
        self.arguments = [str(argument) for argument in arguments]

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterable[Any]:
        """Publish the dataset; ranks other than the first do nothing.

        Raises:
            SlicesFailed: some have failed for good; the others are published.
            MMProLongError: slices are missing.
        """
        if rank == 0 and self._call(["build", "--finish", "--out", self.out, *self.arguments]) == FAILED_SLICES:
            raise SlicesFailed(f"{self.out}: published without slices that failed for good; the log names them")
        return data or ()


def _end_with_parent() -> Callable[[], None] | None:
    """What a new process calls so that it is told to end when its parent is gone, however that came about (Linux).

    Without it a rank that is killed leaves a command behind that goes on building.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    return ask
