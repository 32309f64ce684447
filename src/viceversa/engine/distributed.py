"""Several processes as one: torchrun's group, equal replicas, averaged gradients.

There is no wrapper around the networks: `DistributedDataParallel` averages nothing for calls other than `forward`, and
a method may call what it likes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as torch_dist
from torch import Tensor, nn
from torch.distributed import TCPStore  # type: ignore[attr-defined]  # torch says so in its documentation only
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

T = TypeVar("T")
ARRIVAL = 600.0  # seconds to wait for the first process


@dataclass(frozen=True)
class DistInfo:
    """This process's place among all: rank from 0, size of the group, rank on this machine."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0

    @classmethod
    def from_env(cls) -> DistInfo:
        """Return this process's place as torchrun announces it in the environment."""
        env = os.environ
        return cls(int(env.get("RANK", 0)), int(env.get("WORLD_SIZE", 1)), int(env.get("LOCAL_RANK", 0)))

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and speaks to the user."""
        return self.rank == 0


@contextmanager
def process_group(dist: DistInfo, device: torch.device) -> Iterator[None]:
    """Be a member of the process group while the block runs; a single process needs none."""
    if dist.world_size == 1:
        yield
        return
    backend, store = "nccl" if device.type == "cuda" else "gloo", PrefixStore("group", _meeting(dist))
    torch_dist.init_process_group(backend, store=store, rank=dist.rank, world_size=dist.world_size)
    try:
        yield
    finally:
        torch_dist.destroy_process_group()


def _meeting(dist: DistInfo) -> Store:
    """Return the store where the processes find each other: one that the first of them opens.

    torchrun's own outlives a restart, and with it the addresses of processes that are gone.
    """
    store: Store = next(rendezvous("env://"))[0]
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return store
    host, deadline = os.environ["MASTER_ADDR"], time.monotonic() + ARRIVAL
    if dist.is_main:
        own = TCPStore(host, 0, is_master=True, wait_for_workers=False)
        store.set("port", str(own.port))
        return own
    while True:
        try:
            own = TCPStore(host, int(store.get("port")), timeout=timedelta(seconds=5))
            own.set_timeout(timedelta(seconds=ARRIVAL))
            return own
        except RuntimeError:  # that of a first process that is gone
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


@contextmanager
def _talking() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # of gloo or nccl: connection reset, closed by peer, timed out
        raise ValueError("another process has ended; the run goes on from its last checkpoint") from error


@_talking()
def broadcast(net: nn.Module, dist: DistInfo) -> None:
    """Give every replica the weights and buffers of rank 0."""
    for tensor in [*net.parameters(), *net.buffers()] if dist.world_size > 1 else ():
        torch_dist.broadcast(tensor.data, src=0)


@_talking()
def average_gradients(gradients: list[Tensor], dist: DistInfo, *riders: Tensor) -> list[Tensor]:
    """Replace every gradient by its mean over the processes, in one message; return the means of scalars, `riders`."""
    if dist.world_size == 1:
        return list(riders)
    tensors = [*riders, *gradients]
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    torch_dist.all_reduce(flat)
    flat /= dist.world_size
    means = [m.view_as(t) for m, t in zip(torch.split(flat, [t.numel() for t in tensors]), tensors, strict=True)]
    for gradient, mean in zip(gradients, means[len(riders) :], strict=True):
        gradient.copy_(mean)
    return means[: len(riders)]


@_talking()
def all_gather(value: T, dist: DistInfo) -> list[T]:
    """Return the values of all processes, in the order of their ranks."""
    if dist.world_size == 1:
        return [value]
    found: list[Any] = [None] * dist.world_size
    torch_dist.all_gather_object(found, value)
    return found


@_talking()
def barrier(dist: DistInfo) -> None:
    """Wait until every process has come this far."""
    if dist.world_size > 1:
        torch_dist.barrier()
