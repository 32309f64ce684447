"""torch's compiler, in regions: every kind of block of the generators is compiled once for each shape."""

from __future__ import annotations

import os
import shutil

import torch
from torch import nn

from viceversa.config import Config, ConfigError
from viceversa.nets.checkpointing import blocks

BACKEND = "inductor"
COMPILERS = ("g++", "clang++", "c++", "cl")
KINDS = 256  # kinds of blocks, shapes and states of gradients that one method may have; torch gives up beyond 8
SHORT = 2000  # steps; compiling takes about a minute, which fewer do not earn back


def compile_blocks(net: nn.Module, device: torch.device) -> None:
    """Have the blocks of all generators compiled when they are first used; names and keys stay as they are.

    Blocks of one kind and shape share their code, and inductor keeps it on disk for the next start.
    Training pictures have one size, so nothing is compiled anew on the way. Discriminators are not compiled: gradient
    penalties differentiate them twice, which compiled code cannot. Raises ConfigError where the CPU's code cannot be
    made for want of a C++ compiler.
    """
    if device.type == "cpu" and BACKEND == "inductor" and not _has_cxx():
        raise ConfigError("train.compile=true: needs a C++ compiler; install one (apt install g++), or leave it false")
    import torch._dynamo

    torch._dynamo.config.recompile_limit = KINDS
    for block in blocks(net):
        block.compile(fullgraph=True, dynamic=False, backend=BACKEND)


def worth_trying(config: Config, device: torch.device, processes: int) -> bool:
    """Whether compiling may pay at all.

    On the CPU it does not: the compiler cannot see into Winograd's algorithm, so it would have to do without, and
    compiling takes minutes. Nor where the training is short; and several processes could choose differently.
    """
    length = config.train.length
    short = length.unit == "steps" and length.amount < SHORT
    return device.type == "cuda" and processes == 1 and not short and not config.train.checkpointing


def _has_cxx() -> bool:
    return any(map(shutil.which, filter(None, (os.environ.get("CXX"), *COMPILERS))))
