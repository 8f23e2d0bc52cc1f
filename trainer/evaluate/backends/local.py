"""A model folder, with transformers, the trainer's attention and a key-value cache; greedy, on one or more devices."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmprolong_data.errors import FormatError, MMProLongError, missing_extra

from ..items import Item
from .base import Output

if TYPE_CHECKING:
    from ..generation import Prompt

STOP = -1
PATIENCE = timedelta(days=7)
"""How long other processes wait for the next item: the first one may be busy with a judge."""


class LocalBackend:
    """Answers one item at a time.

    Under torchrun all processes share every prompt. The first one asks (``answer``); the others wait in ``serve`` for
    what it asks about, and read the same items from the same files.
    """

    concurrency = 1

    def __init__(self, folder: Path, device: str = "auto", dtype: str = "auto", items: Sequence[Item] = ()) -> None:
        """Load the model.

        Args:
            folder: Of the model.
            device, dtype: See ``generation.pick_device`` and ``pick_dtype``.
            items: What can be asked, if there are several processes.

        Raises:
            MMProLongError: the extra ``train`` is missing, there is no model of a known kind, or the processes read
                different items.
        """
        try:
            from .. import generation
        except ImportError as error:
            raise missing_extra(error.name or "torch", "train") from None
        self._busy = False
        self._others = _Others(items) if processes() > 1 else None
        world = self._others.world if self._others else None
        place = world.device if world and device == "auto" else generation.pick_device(device)
        kind = generation.pick_dtype(dtype, place)
        self._generator = generation.Generator(folder, place, kind, world=world)
        self._identity = model_identity(folder)
        self._dtype = str(kind).removeprefix("torch.")
        self.name = str(folder)

    @property
    def leads(self) -> bool:
        """Whether this process asks; if not, it has to ``serve``."""
        return self._others is None or self._others.world.rank == 0

    def settings(self) -> dict[str, Any]:
        """See ``Backend``."""
        return {"backend": "transformers", "model": self._identity, "dtype": self._dtype, "decoding": "greedy/1"}

    def answer(self, item: Item) -> Output:
        """See ``Backend``."""
        if self._others is None:
            return Output(self._generator.speak(self._prepare(item), item.max_tokens))
        self._others.announce(item)
        return self._together(item)

    def serve(self) -> None:
        """Help the first process with every item that it asks about, until it closes."""
        assert self._others is not None
        while (item := self._others.next()) is not None:
            self._together(item)

    def close(self) -> None:
        """See ``Backend``."""
        # Not after a crash in the middle of an item: the others wait for something else then, and torchrun ends them.
        if self._others is not None and self.leads and not self._busy:
            self._others.stop()

    def _prepare(self, item: Item) -> Prompt:
        return self._generator.prepare(item.messages(), list(item.load()), item.prefill, item.key)

    def _together(self, item: Item) -> Output:
        """Each process prepares its part; they go on only if all could."""
        assert self._others is not None
        self._busy = True
        prompt, error = None, ""
        try:
            prompt = self._prepare(item)
        except FormatError as failed:
            error = str(failed)
        if self._others.all_ready(prompt is not None) and prompt is not None:
            output = Output(self._generator.speak(prompt, item.max_tokens))
        else:
            output = Output("", error or "another process could not read its pages")
        self._busy = False
        return output


class _Others:
    """The processes of a torchrun, and how the first one tells the others what it asks about."""

    def __init__(self, items: Sequence[Item]) -> None:
        import torch.distributed as dist

        from ...parallel import start_world

        self.world = start_world(processes())
        self._items = list(items)
        self._numbers = {item.key: number for number, item in enumerate(self._items)}
        self._control = dist.new_group(backend="gloo", timeout=PATIENCE)
        self._stopped = False
        digest = hashlib.sha256("".join(item.fingerprint() for item in self._items).encode()).digest()
        mine = int.from_bytes(digest[:7], "big")
        if not self.all_ready(self._tell(mine) == mine):
            raise MMProLongError("The processes read different items. Remedy: --data must be the same on all machines")

    def announce(self, item: Item) -> None:
        """Tell the others which item comes next."""
        self._tell(self._numbers[item.key])

    def next(self) -> Item | None:
        """The item that the first process asks about; None: it has finished."""
        number = self._tell(STOP)
        return None if number == STOP else self._items[number]

    def stop(self) -> None:
        """Let the others go. May be called twice."""
        if not self._stopped:
            self._stopped = True
            self._tell(STOP)

    def all_ready(self, ready: bool) -> bool:
        """Whether all processes are."""
        import torch
        import torch.distributed as dist

        flag = torch.tensor([int(ready)])
        dist.all_reduce(flag, dist.ReduceOp.MIN, group=self._control)
        return bool(flag.item())

    def _tell(self, number: int) -> int:
        """The first process's number, on all of them."""
        import torch
        import torch.distributed as dist

        told = torch.tensor([number])
        dist.broadcast(told, 0, group=self._control)
        return int(told)


def processes() -> int:
    """How many processes share the work: torchrun's, or 1."""
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        return dist.get_world_size()
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def model_identity(folder: Path) -> str:
    """SHA-256 of the configuration, and of samples spread over every weight file: another training, another value.

    Raises:
        MMProLongError: a file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        config = json.loads((folder / "config.json").read_bytes())
        digest.update(json.dumps(config, sort_keys=True).encode())
        for path in sorted(folder.glob("*.safetensors")):
            size = path.stat().st_size
            digest.update(f"{path.name} {size}".encode())
            with path.open("rb") as stream:
                digest.update(stream.read(1 << 16))
                # Samples all over the file: a step of training changes nearly every weight.
                for part in range(1, 65):
                    stream.seek(max(0, size * part // 64 - 4096))
                    digest.update(stream.read(4096))
    except (OSError, ValueError) as error:
        raise MMProLongError(f"{folder}: cannot be read as a model: {error}") from None
    return digest.hexdigest()
