"""Checkpoints: sharded (DCP), written in the background, visible only when complete, resumable on another shape."""

from __future__ import annotations

import json
import os
import re
import shutil
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.checkpoint.state_dict_loader import load as load_tensors
from torch.distributed.checkpoint.state_dict_saver import async_save, save
from torch.utils._pytree import tree_map

from mmprolong_data.errors import MMProLongError
from mmprolong_data.settings import differences

STATE_NAME = "state.json"
"""Written last: step, tokens, data position, settings. A folder without it is no checkpoint."""


class Checkpoints:
    """The checkpoints of a run, in ``FOLDER/step-00000050``."""

    def __init__(self, folder: Path, keep: int, asynchronous: bool) -> None:
        """Open the folder; unfinished checkpoints are removed.

        Args:
            folder: Made if absent.
            keep: How many to keep.
            asynchronous: Write while training goes on.
        """
        self._folder, self._keep, self._asynchronous = folder, keep, asynchronous
        self._first = dist.get_rank() == 0
        # A group of its own: the writing thread's collectives must not mix with those of training.
        self._group = dist.new_group(backend="gloo")
        self._pending: tuple[Future[Any], Path, dict[str, Any]] | None = None
        self._last: int | None = None
        if self._first:
            folder.mkdir(parents=True, exist_ok=True)
            # Half written, or half removed: a kill can leave either.
            for path in folder.glob("step-*"):
                named = re.fullmatch(r"step-\d{8}(\.tmp)?", path.name)
                if named and (path.suffix == ".tmp" or not (path / STATE_NAME).is_file()):
                    shutil.rmtree(path)
        dist.barrier(self._group)

    def latest(self) -> Path | None:
        """The newest complete checkpoint."""
        found = [
            path for path in self._folder.glob("step-*") if re.fullmatch(r"step-\d{8}", path.name)
            and (path / STATE_NAME).is_file()
        ]  # fmt: skip
        return max(found, default=None, key=lambda path: path.name)

    def save(self, model: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
        """Begin a checkpoint of step ``state["step"]``; an earlier one is finished first."""
        self.finish()
        if state["step"] == self._last:
            return
        self._last = state["step"]
        temporary = self._folder / f"step-{state['step']:08d}.tmp"
        tensors = self._tensors(model, optimizer)
        if self._asynchronous:
            if next(model.parameters()).device.type == "cpu":
                # Staging copies nothing that is in host memory already, and training goes on changing it.
                tensors = tree_map(lambda leaf: leaf.clone() if isinstance(leaf, torch.Tensor) else leaf, tensors)
            future: Any = async_save(tensors, checkpoint_id=temporary, process_group=self._group)
            self._pending = (future, temporary, state)
        else:
            try:
                save(tensors, checkpoint_id=temporary, process_group=self._group)
            except (Exception, CheckpointException) as error:
                raise MMProLongError(f"{temporary}: the checkpoint could not be written: {_cause(error)}") from error
            self._publish(temporary, state)

    def poll(self) -> None:
        """Give a checkpoint that has been written its name."""
        if self._pending is not None and self._pending[0].done():
            self.finish()

    def finish(self) -> None:
        """Wait for the checkpoint that is being written.

        Raises:
            MMProLongError: it could not be written.
        """
        if self._pending is None:
            return
        future, temporary, state = self._pending
        self._pending = None
        try:
            future.result()
        except (Exception, CheckpointException) as error:
            raise MMProLongError(f"{temporary}: the checkpoint could not be written: {_cause(error)}") from error
        self._publish(temporary, state)

    def load(self, path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, identity: dict[str, Any]) -> Any:
        """Fill model and optimizer from a checkpoint of any (dp, sp) shape. Returns its state.

        Raises:
            MMProLongError: it was made with other settings, which are listed, or it is damaged.
        """
        try:
            state = json.loads((path / STATE_NAME).read_bytes())
            made_with = state["identity"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise MMProLongError(
                f"{path / STATE_NAME}: damaged ({error}). Remedy: remove {path}; the same command then goes on from the"
                " one before it"
            ) from None
        lines = differences(made_with, identity)
        if lines:
            raise MMProLongError(
                f"{path}: made with other settings:\n  "
                + "\n  ".join(lines)
                + "\nRemedy: the old settings, or another run.out"
            )
        tensors = self._tensors(model, optimizer)
        try:
            load_tensors(tensors, checkpoint_id=path, process_group=self._group)
        except (Exception, CheckpointException) as error:
            raise MMProLongError(
                f"{path}: the checkpoint cannot be read ({_cause(error)}). Remedy: remove {path}; the same command then"
                " goes on from the one before it"
            ) from error
        self._last = state["step"]
        set_state_dict(model, optimizer, model_state_dict=tensors["model"], optim_state_dict=tensors["optimizer"])
        return state

    def _tensors(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        parameters, moments = get_state_dict(model, optimizer)
        return {"model": parameters, "optimizer": moments}

    def _publish(self, temporary: Path, state: dict[str, Any]) -> None:
        """DCP's coordinator ends after all ranks have written: rank 0 alone may give the folder its name."""
        if not self._first:
            return
        partial = temporary / f"{STATE_NAME}.tmp"
        with partial.open("w", encoding="utf-8") as stream:
            json.dump(state, stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(temporary / STATE_NAME)
        temporary.replace(self._folder / temporary.name.removesuffix(".tmp"))
        complete = sorted(path for path in self._folder.glob("step-*") if (path / STATE_NAME).is_file())
        for path in complete[: -self._keep]:
            (path / STATE_NAME).unlink()
            shutil.rmtree(path)


def _cause(error: BaseException) -> str:
    """One line. What DCP raises is no ``Exception``, and holds those of the ranks that failed."""
    if isinstance(error, CheckpointException) and error.failures:
        error = next(iter(error.failures.values()))[0]
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:300]}"
