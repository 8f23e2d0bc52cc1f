"""Building the model: first without memory, then sharded, then filled, each rank reading its own rows."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.utils.checkpoint import checkpoint

from mmprolong_data.errors import MMProLongError

PARTS = ("vision", "merger", "language", "embeddings", "lm_head")


def build_model(config: Any) -> nn.Module:
    """The model of a configuration, its parameters on the ``meta`` device, its buffers real and initialised.

    Building everything on ``meta`` would leave the rotary frequencies, which no checkpoint holds, as garbage.
    """
    from transformers import Qwen2_5_VLForConditionalGeneration, Qwen3VLForConditionalGeneration

    kinds: dict[str, Any] = {
        "qwen2_5_vl": Qwen2_5_VLForConditionalGeneration,
        "qwen3_vl": Qwen3VLForConditionalGeneration,
    }
    with _parameters_on_meta():
        model: nn.Module = kinds[config.model_type](config)
    if config.tie_word_embeddings:
        tied: Any = model
        tied.lm_head.weight = tied.model.language_model.embed_tokens.weight
    return model


def materialize(model: nn.Module, device: torch.device, buffer_device: torch.device | None = None) -> None:
    """Give the parameters (shards, after ``fully_shard``) memory, and move the buffers with their values.

    Buffers go where the computation is (``buffer_device``), also where parameters wait in host memory.
    """
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    names: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    model.to_empty(device=device)
    for name, value in buffers.items():
        owner, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(owner), attribute, value.to(buffer_device or device))
    for first, *others in names.values():  # plain parameters (unlike sharded ones) lose what ties them together
        for other in others:
            owner, _, attribute = other.rpartition(".")
            setattr(model.get_submodule(owner), attribute, model.get_parameter(first))


def module_name(key: str) -> str:
    """Parameter name in the module for a key of a checkpoint; released Qwen2.5-VL files use an older naming."""
    if key.startswith("visual."):
        return f"model.{key}"
    return re.sub(r"^model\.(?!language_model\.|visual\.)", "model.language_model.", key)


def checkpoint_key(name: str, model_type: str) -> str:
    """The inverse of ``module_name``: the naming of the released files, which every reader understands."""
    if model_type != "qwen2_5_vl":
        return name
    return name.replace("model.visual.", "visual.", 1).replace("model.language_model.", "model.", 1)


def load_weights(model: nn.Module, folder: Path) -> None:
    """Fill the parameters from the safetensors of a folder. A sharded parameter reads its own rows only.

    Raises:
        MMProLongError: a tensor is missing, unknown or of another shape.
    """
    from safetensors import SafetensorError, safe_open

    wanted = dict(model.named_parameters(remove_duplicate=True))
    missing = set(wanted)
    files = sorted(folder.glob("*.safetensors"))
    tied = {name for name, _ in model.named_parameters(remove_duplicate=False)} - missing
    for file in files:
        try:
            with safe_open(file, framework="pt") as tensors:
                for key in tensors.keys():  # noqa: SIM118 - not a mapping
                    name = module_name(key)
                    if name in tied:
                        continue
                    if name not in wanted:
                        raise MMProLongError(f"{file}: holds {key!r}, which the model of {folder} does not have")
                    _fill(wanted[name], tensors.get_slice(key), f"{file}: {key}")
                    missing.discard(name)
        except SafetensorError as error:
            raise MMProLongError(f"{file}: damaged ({error}). Remedy: copy or download it again") from None
    if missing:
        few = ", ".join(sorted(missing)[:3])
        raise MMProLongError(f"{folder}: {len(missing)} tensors are missing in its *.safetensors, such as {few}")


def freeze(model: nn.Module, parts: Sequence[str]) -> None:
    """Exclude parts from training (see ``PARTS``)."""
    core: Any = model.get_submodule("model")
    mergers = [module for name, module in core.visual.named_children() if "merger" in name]
    merger = {id(parameter) for module in mergers for parameter in module.parameters()}
    embeddings = {id(parameter) for parameter in core.language_model.embed_tokens.parameters()}
    chosen: set[int] = set()
    for part in parts:
        if part == "vision":
            chosen |= {id(p) for p in core.visual.parameters()} - merger
        elif part == "merger":
            chosen |= merger
        elif part == "language":
            chosen |= {id(p) for p in core.language_model.parameters()} - embeddings
        elif part == "embeddings":
            chosen |= embeddings
        else:
            chosen |= {id(p) for p in model.get_submodule("lm_head").parameters()}
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) not in chosen)


def layers(model: nn.Module) -> tuple[list[nn.Module], list[nn.Module]]:
    """(language layers, vision blocks): what is checkpointed and sharded one by one."""
    core: Any = model.get_submodule("model")
    return list(core.language_model.layers), list(core.visual.blocks)


def checkpoint_activations(modules: Sequence[nn.Module], offload: bool) -> None:
    """Recompute these layers in the backward pass; with ``offload`` their inputs wait in host memory."""
    function: Callable[..., Any] = functools.partial(checkpoint, use_reentrant=False)
    if offload:
        function = _offloaded_checkpoint
    for module in modules:
        module.gradient_checkpointing = True  # type: ignore[assignment]
        module._gradient_checkpointing_func = function  # type: ignore[assignment]


def _offloaded_checkpoint(function: Callable[..., Any], *arguments: Any) -> Any:
    # The hooks see what checkpoint() itself saves, its inputs; what the recomputation saves is under its own hooks.
    with torch.autograd.graph.save_on_cpu(pin_memory=torch.cuda.is_available()):
        return checkpoint(function, *arguments, use_reentrant=False)


def _fill(parameter: Tensor, stored: Any, where: str) -> None:
    if list(stored.get_shape()) != list(parameter.shape):
        raise MMProLongError(f"{where}: shape {stored.get_shape()}, the model needs {list(parameter.shape)}")
    with torch.no_grad():
        if not isinstance(parameter, DTensor):
            parameter.copy_(stored[...] if parameter.ndim else stored[:])
            return
        from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

        shape, offset = compute_local_shape_and_global_offset(
            parameter.shape, parameter.device_mesh, parameter.placements
        )
        local = parameter.to_local()
        if local.numel():
            local.copy_(stored[tuple(slice(o, o + s) for o, s in zip(offset, shape, strict=True))])


@contextlib.contextmanager
def _parameters_on_meta() -> Iterator[None]:
    """Move every parameter to ``meta`` as soon as it is registered, so that building costs neither memory nor time."""
    original = nn.Module.register_parameter

    def register(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        original(module, name, parameter)
        if parameter is not None:
            module._parameters[name] = nn.Parameter(parameter.to("meta"), requires_grad=parameter.requires_grad)

    nn.Module.register_parameter = register  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        nn.Module.register_parameter = original  # type: ignore[method-assign]
