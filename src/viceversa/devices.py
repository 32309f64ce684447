"""Which device to compute on, and in which precision; what a training ran on."""

from __future__ import annotations

import dataclasses
import os
import platform
from pathlib import Path

import torch

from viceversa import __version__
from viceversa.config import Config, ConfigError, TrainConfig


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


def choose_precision(config: Config, device: torch.device, before: TrainConfig | None = None) -> tuple[Config, str]:
    """Return the configuration with `auto` replaced, and a sentence that says by what ("" if there was none).

    bf16 where the hardware multiplies it, channels_last with bf16 and fp16; a run that is continued keeps its own.
    """
    train = config.train
    if "auto" not in (train.precision, train.channels_last):
        return config, ""
    wishes = [train, before or train]
    precision = next((wish.precision for wish in wishes if wish.precision != "auto"), None)
    precision = precision or ("bf16" if multiplies_bf16(device) else "fp32")
    layouts = [wish.channels_last for wish in wishes] + [precision in ("bf16", "fp16")]
    channels_last = next(layout for layout in layouts if layout != "auto")
    train = dataclasses.replace(train, precision=precision, channels_last=channels_last)
    layout = "channels_last" if channels_last else "contiguous"
    reason = "bf16 is multiplied in hardware" if multiplies_bf16(device) else "bf16 would not be faster"
    return dataclasses.replace(config, train=train), f"computing in {precision}, {layout}; on this device {reason}"


def multiplies_bf16(device: torch.device) -> bool:
    """Whether the hardware multiplies bf16: Ampere and later GPUs; CPUs with AMX or AVX512-BF16."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())


def free_memory(device: torch.device) -> int:
    """Return how many bytes of memory a computation may take on a device: four fifths of what is available."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return (torch.cuda.mem_get_info(device)[0] + cached) * 4 // 5
    import psutil

    group = Path("/sys/fs/cgroup")  # of a container, if it has a limit of its own
    limits: list[int] = [psutil.virtual_memory().available]
    if (group / "memory.max").is_file() and (limit := (group / "memory.max").read_text().strip()).isdecimal():
        used = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        limits.append(int(limit) - int((group / "memory.current").read_text()) + int(used.get("inactive_file", 0)))
    return max(0, min(limits)) * 4 // 5


def layout_of(device: torch.device) -> torch.memory_format:
    """Return in which layout pictures are translated: the fastest, and one for all, since last digits follow it."""
    return torch.channels_last if device.type == "cpu" else torch.contiguous_format


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
