"""What a training runs on and with: facts for whoever wants to know why another machine gave other numbers."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

from viceversa import __version__


def environment(device: torch.device) -> dict[str, str]:
    """Return versions and machine, in words; nothing that names a person, a host or a folder."""
    return {
        "viceversa": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": f"{torch.get_num_threads()} of {os.cpu_count()}",
    }


def _processor() -> str:
    """Return the processor's name, which Linux keeps where the standard library does not look."""
    info = Path("/proc/cpuinfo")
    for line in info.read_text("utf-8").splitlines() if info.is_file() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()
