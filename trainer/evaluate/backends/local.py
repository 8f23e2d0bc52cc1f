"""A model folder on this machine, with transformers, the trainer's attention and a key-value cache; greedy."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from mmprolong_data.errors import MMProLongError, missing_extra

from ..items import Item
from .base import Output


class LocalBackend:
    """Answers one item at a time."""

    concurrency = 1

    def __init__(self, folder: Path, device: str = "auto", dtype: str = "auto") -> None:
        """Load the model.

        Raises:
            MMProLongError: the extra ``train`` is missing, or there is no model of a known kind.
        """
        try:
            from .. import generation
        except ImportError as error:
            raise missing_extra(error.name or "torch", "train") from None
        place = generation.pick_device(device)
        kind = generation.pick_dtype(dtype, place)
        self._generator = generation.Generator(folder, place, kind)
        self._identity = model_identity(folder)
        self._dtype = str(kind).removeprefix("torch.")
        self.name = str(folder)

    def settings(self) -> dict[str, Any]:
        """See ``Backend``."""
        return {"backend": "transformers", "model": self._identity, "dtype": self._dtype, "decoding": "greedy/1"}

    def answer(self, item: Item) -> Output:
        """See ``Backend``."""
        pages = list(item.load())
        return Output(self._generator.reply(item.messages(), pages, item.max_tokens, item.prefill, item.key))

    def close(self) -> None:
        """See ``Backend``."""


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
