"""The trained model as a Hugging Face folder that transformers 4 and 5 read alike."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from .model import checkpoint_key
from .prepare import check_written, write_config
from .rope import base_of

SHARD_BYTES = 4 << 30
"""Largest safetensors file."""


def write_safetensors(
    folder: Path, tensors: Iterable[tuple[str, Tensor]], model_type: str, dtype: torch.dtype, limit: int = SHARD_BYTES
) -> None:
    """Write tensors as ``model-00001-of-0000N.safetensors`` with an index, holding one file's worth in memory."""
    from safetensors.torch import save_file

    files: list[list[str]] = []
    pending: dict[str, Tensor] = {}
    size = total = 0

    def flush() -> None:
        nonlocal size
        if pending:
            save_file(pending, folder / f"part-{len(files)}.tmp", metadata={"format": "pt"})
            files.append(list(pending))
            pending.clear()
            size = 0

    for name, tensor in tensors:
        stored = tensor.detach().to(device="cpu", dtype=dtype).contiguous()
        if size + stored.nbytes > limit:
            flush()
        pending[checkpoint_key(name, model_type)] = stored.clone() if stored.data_ptr() == tensor.data_ptr() else stored
        size += stored.nbytes
        total += stored.nbytes
    flush()
    places: dict[str, str] = {}
    for number, keys in enumerate(files):
        name = f"model-{number + 1:05d}-of-{len(files):05d}.safetensors" if len(files) > 1 else "model.safetensors"
        (folder / f"part-{number}.tmp").replace(folder / name)
        places |= dict.fromkeys(keys, name)
    if len(files) > 1:
        index = {"metadata": {"total_size": total}, "weight_map": places}
        text = json.dumps(index, indent=1, sort_keys=True) + "\n"
        (folder / "model.safetensors.index.json").write_text(text, encoding="utf-8")


def export_model(model: nn.Module, config: Any, source: Path, out: Path, dtype: torch.dtype) -> None:
    """Write the model; every rank must call this (sharded parameters are gathered one by one), rank 0 writes.

    Args:
        model: The model, its parameters perhaps sharded.
        config: Its configuration.
        source: The folder it came from: tokenizer, templates and processor settings are taken over.
        out: Written under a temporary name first; an older one is replaced.
    """
    first = not dist.is_initialized() or dist.get_rank() == 0
    if not first:
        for _ in _whole(model):
            pass
        dist.barrier()
        return
    temporary = out.with_name(out.name + ".tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    write_safetensors(temporary, _whole(model), config.model_type, dtype)
    for pattern in ("*.json", "*.txt", "*.jinja"):
        for path in source.glob(pattern):
            if path.name != "config.json" and not path.name.endswith(".safetensors.index.json"):
                shutil.copyfile(path, temporary / path.name)
    config.dtype = dtype
    write_config(temporary, config)
    check_written(temporary, base_of(config.text_config))
    shutil.rmtree(out, ignore_errors=True)
    temporary.replace(out)
    if dist.is_initialized():
        dist.barrier()


def _whole(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for name, parameter in model.named_parameters():
        tensor = parameter.detach()
        yield name, tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
