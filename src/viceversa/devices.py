"""Which device to compute on."""

from __future__ import annotations

import torch

from viceversa.config import ConfigError


def pick_device(name: str = "auto", local_rank: int = 0) -> torch.device:
    """Return the named device; "auto" takes the first of cuda, mps, cpu that is there.

    On a machine with several GPUs, "cuda" is the one of this process's `local_rank`. Raises ConfigError for a device
    that is unknown or not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device("cuda", local_rank) if name == "cuda" else torch.device(name)
        if device.type == "cuda":
            torch.cuda.set_device(device)
        torch.empty(1, device=device).cpu()
        return device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(f"device {name}: not usable here ({str(error).splitlines()[0]})") from None


def layout_of(device: torch.device) -> torch.memory_format:
    """Return in which layout pictures are translated: the fastest, and one for all, since last digits follow it."""
    return torch.channels_last if device.type == "cpu" else torch.contiguous_format
