"""Several processes as one: torchrun's group, equal replicas, averaged gradients.

There is no wrapper around the networks: `DistributedDataParallel` averages nothing for calls other than `forward`, and
a method may call what it likes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """This process's place among all: rank from 0, size of the group, rank on this machine."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def leads(self) -> bool:
        """Whether this process writes files and speaks to the user."""
        return self.rank == 0


def place() -> World:
    """Return this process's place as torchrun announces it in the environment."""
    env = os.environ
    return World(int(env.get("RANK", 0)), int(env.get("WORLD_SIZE", 1)), int(env.get("LOCAL_RANK", 0)))


@contextmanager
def joined(world: World, device: torch.device) -> Iterator[None]:
    """Be a member of the process group while the block runs; a single process needs none."""
    if world.size == 1:
        yield
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", rank=world.rank, world_size=world.size)
    try:
        yield
    finally:
        dist.destroy_process_group()


def broadcast(net: nn.Module, world: World) -> None:
    """Give every replica the weights and buffers of rank 0."""
    if world.size > 1:
        for tensor in [*net.parameters(), *net.buffers()]:
            dist.broadcast(tensor.data, src=0)


def average_gradients(parameters: Iterable[nn.Parameter], world: World) -> None:
    """Replace every gradient by its mean over the processes, in one all-reduce."""
    if world.size == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients])
    dist.all_reduce(flat)
    flat /= world.size
    for gradient, mean in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def mean(values: Tensor, world: World) -> Tensor:
    """Return the mean of a tensor over the processes."""
    if world.size == 1:
        return values
    values = values.clone()
    dist.all_reduce(values)
    return values / world.size


def total(values: Tensor, world: World) -> Tensor:
    """Return the sum of a tensor over the processes."""
    if world.size == 1:
        return values
    values = values.clone()
    dist.all_reduce(values)
    return values


def gathered(value: T, world: World) -> list[T]:
    """Return the values of all processes, in the order of their ranks."""
    if world.size == 1:
        return [value]
    found: list[Any] = [None] * world.size
    dist.all_gather_object(found, value)
    return found


def anywhere(flag: bool, world: World, device: torch.device) -> bool:
    """Return whether the flag is set in any process."""
    if world.size == 1:
        return flag
    shared = torch.tensor(float(flag), device=device)
    dist.all_reduce(shared, dist.ReduceOp.MAX)
    return bool(shared.item())


def wait(world: World) -> None:
    """Wait until every process has come this far."""
    if world.size > 1:
        dist.barrier()
