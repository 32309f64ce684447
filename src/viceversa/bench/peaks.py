"""What this machine can do at best: a large matrix product, and the convolution that a ResNet generator is made of."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def synchronise(device: torch.device) -> None:
    """Wait until a GPU has done what it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(do: Callable[[], object], device: torch.device, times: int = 5) -> float:
    """Return the median time of `do()`, after once for warmth."""
    do()
    taken = []
    for _ in range(times):
        synchronise(device)
        start = time.perf_counter()
        do()
        synchronise(device)
        taken.append(time.perf_counter() - start)
    return median(taken)


@torch.no_grad()
def measure_peaks(device: torch.device, side: int = 1024, picture: int = 64) -> dict[str, dict[str, float]]:
    """Return GFLOP/s of a matrix product and of a 3x3 convolution of 256 channels, for each type."""
    peaks = {}
    for name, dtype in DTYPES.items():
        a = torch.randn(side, side, device=device, dtype=dtype)
        x = torch.randn(1, 256, picture, picture, device=device, dtype=dtype)
        x = x.contiguous(memory_format=torch.channels_last)
        weight = torch.randn(256, 256, 3, 3, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)
        matmul = 2 * side**3 / seconds(lambda a=a: a @ a, device)  # type: ignore[misc]
        work = 2 * 256 * 256 * 9 * picture**2
        conv = work / seconds(lambda x=x, w=weight: torch.conv2d(x, w, padding=1), device)  # type: ignore[misc]
        peaks[name] = {"matmul": matmul / 1e9, "conv": conv / 1e9}
    return peaks
