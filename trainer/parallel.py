"""Processes: who shares what. FSDP2 shards parameters over all of them, Ulysses splits each pack over neighbours."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._C._distributed_c10d import HashStore
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, FSDPModule, MixedPrecisionPolicy, OffloadPolicy, fully_shard

from mmprolong_data.errors import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Which packs are this process's.

    Attributes:
        rank: Of all processes.
        dp_rank, dp: Data parallelism: packs differ.
        sp: Processes that share a pack, each decoding a part of its pages.
    """

    rank: int
    dp_rank: int
    dp: int
    sp: int


@dataclass(frozen=True, slots=True, kw_only=True)
class World(Place):
    """This process among all.

    Attributes:
        size: All processes.
        sp_rank: Sequence parallelism: ``rank = dp_rank * sp + sp_rank``.
        device: Where this process computes.
        mesh: All processes in one dimension, for sharding.
        sequence_group: The processes that share this one's packs; None if there are no others.
    """

    size: int
    sp_rank: int
    device: torch.device
    mesh: DeviceMesh
    sequence_group: dist.ProcessGroup | None

    def sum(self, values: Sequence[float]) -> list[float]:
        """Sums over all processes, in float64."""
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor)
        return [float(value) for value in tensor]

    def max(self, values: Sequence[float]) -> list[float]:
        """Largest values over all processes, in float64."""
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
        return [float(value) for value in tensor]


def start_world(sp: int) -> World:
    """Join the processes that torchrun started, or be a world of one.

    Raises:
        SettingsError: ``parallel.sp`` does not divide the number of processes.
    """
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    device = torch.device("cuda", torch.cuda.current_device()) if cuda else torch.device("cpu")
    if not dist.is_initialized():
        # gloo beside NCCL: asynchronous checkpoints and offloaded gradients talk from host memory.
        backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
        if "RANK" in os.environ:
            dist.init_process_group(backend)
        else:
            dist.init_process_group(backend, store=HashStore(), rank=0, world_size=1)
    rank, size = dist.get_rank(), dist.get_world_size()
    if size % sp:
        raise SettingsError(f"config: parallel.sp = {sp}: must divide the number of processes, {size}")
    mesh = init_device_mesh(device.type, (size // sp, sp), mesh_dim_names=("dp", "sp"))
    return World(
        rank=rank,
        size=size,
        dp_rank=rank // sp,
        dp=size // sp,
        sp_rank=rank % sp,
        sp=sp,
        device=device,
        mesh=init_device_mesh(device.type, (size,), mesh_dim_names=("fsdp",)),
        sequence_group=mesh.get_group("sp") if sp > 1 else None,
    )


def check_heads(text_config: Any, sp: int, setting: str = "config: parallel.sp") -> None:
    """Check that the heads can be spread over the processes that share a pack; ``setting`` says how many they are.

    Raises:
        SettingsError: they cannot.
    """
    heads, kv = text_config.num_attention_heads, text_config.num_key_value_heads
    if heads % sp or (kv % sp and sp % kv):
        fit = [n for n in range(1, heads + 1) if heads % n == 0 and (kv % n == 0 or n % kv == 0)]
        raise SettingsError(f"{setting} = {sp}: the model has {heads} query and {kv} key/value heads: use one of {fit}")


def shard(root: nn.Module, units: Sequence[nn.Module], mesh: DeviceMesh, compute: torch.dtype, offload: bool) -> None:
    """Shard parameters, gradients and optimizer states over all processes (FSDP2).

    Gradients are summed, never averaged: the trainer divides once by the number of labelled tokens of the step, so
    that every token weighs the same wherever it was.

    Args:
        root: The module whose forward pass is called.
        units: Layers that are gathered one by one.
        mesh: One-dimensional.
        compute: Type of the gathered parameters; the shards and the reduction are float32.
        offload: Keep the shards, and so gradients and optimizer states, in host memory.
    """
    policy = MixedPrecisionPolicy(param_dtype=None if compute == torch.float32 else compute, reduce_dtype=torch.float32)
    offload_policy = CPUOffloadPolicy() if offload else OffloadPolicy()
    for module in [*units, root]:
        fully_shard(module, mesh=mesh, mp_policy=policy, offload_policy=offload_policy)
    for module in root.modules():
        if isinstance(module, FSDPModule):
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)


def whole(tensor: Tensor) -> Tensor:
    """A distributed scalar as a plain one."""
    full = getattr(tensor, "full_tensor", None)
    result: Tensor = full() if full is not None else tensor
    return result
