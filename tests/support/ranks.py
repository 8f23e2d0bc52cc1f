"""Several ranks on this machine: forked, so that the heavy imports are paid once, talking over gloo on loopback."""

from __future__ import annotations

import multiprocessing
import os
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist


class Ranks:
    """Ranks that have been started."""

    def __init__(self, number: int, folder: Path, function: Callable[..., Any], *arguments: Any) -> None:
        context = multiprocessing.get_context("fork")
        store = folder / f"store-{os.urandom(4).hex()}"
        self._pipes: list[Connection] = []
        self.processes: list[Any] = []
        for rank in range(number):
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(
                target=_rank, args=(rank, number, store, theirs, function, arguments), daemon=True
            )
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self.processes.append(process)

    def signal(self, number: int) -> None:
        """Send all of them a signal."""
        for process in self.processes:
            os.kill(process.pid, number)

    def results(self) -> list[Any]:
        """Their results in rank order; fails with their tracebacks."""
        try:
            results = [_receive(pipe) for pipe in self._pipes]
        finally:
            self.end()
        failed = [text for ok, text in results if not ok]
        assert not failed, "\n".join(failed)
        return [value for _, value in results]

    def end(self) -> None:
        """Kill what is left of them."""
        for process in self.processes:
            process.join(5)
            process.kill()
            process.join()


def run_ranks(number: int, folder: Path, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Call ``function(*arguments)`` on ``number`` ranks of a process group. Returns their results in rank order."""
    return Ranks(number, folder, function, *arguments).results()


def _receive(pipe: Connection) -> tuple[bool, Any]:
    try:
        return pipe.recv() if pipe.poll(300) else (False, "no answer from a rank")
    except EOFError:
        return False, "a rank died"


def _rank(
    rank: int, number: int, store: Path, pipe: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    torch.set_num_threads(1)
    try:
        dist.init_process_group("gloo", store=dist.FileStore(str(store), number), rank=rank, world_size=number)
        result = function(*arguments)
        dist.barrier()
        dist.destroy_process_group()
        pipe.send((True, result))
    except BaseException:  # noqa: BLE001 - reported by the parent
        pipe.send((False, f"rank {rank}: {traceback.format_exc()}"))
    finally:
        pipe.close()
        os._exit(0)
