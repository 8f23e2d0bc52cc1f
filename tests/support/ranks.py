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


def run_ranks(number: int, folder: Path, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Call ``function(*arguments)`` on ``number`` ranks of a process group. Returns their results in rank order."""
    context = multiprocessing.get_context("fork")
    store = folder / f"store-{os.urandom(4).hex()}"
    pipes, processes = [], []
    for rank in range(number):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_rank, args=(rank, number, store, theirs, function, arguments), daemon=True)
        process.start()
        theirs.close()
        pipes.append(ours)
        processes.append(process)
    try:
        results = [_receive(pipe) for pipe in pipes]
    finally:
        for process in processes:
            process.join(5)
            process.kill()
    failed = [text for ok, text in results if not ok]
    assert not failed, "\n".join(failed)
    return [value for _, value in results]


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
