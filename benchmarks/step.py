r"""What does a training step cost? Ours in turn with a plain one, as the first implementations take it, in float32.

    python benchmarks/step.py --preset cyclegan --size 64 --precision bf16 --channels-last generator.width=32 \
        generator.blocks=6
    python benchmarks/step.py --preset cyclegan --size 128 --precision bf16 --channels-last
    python benchmarks/step.py --preset pix2pix --size 128 generator.depth=7 --threads 2

Times are the processor's, of this process, on noise; on a GPU they are the clock's, without the plain step, which is
written for the CPU, for cyclegan and cut with generator=resnet and pix2pix with generator=unet, judged by a PatchGAN.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable
from statistics import median

import torch
from reference import REFERENCES
from torch import Tensor

from viceversa import load_config, methods
from viceversa.config import Config
from viceversa.engine.learner import Learner
from viceversa.methods.base import Batch
from viceversa.nets.layers import init_weights

PLAIN = {("cyclegan", "resnet"), ("pix2pix", "unet"), ("cut", "resnet")}


def configured(args: argparse.Namespace) -> Config:
    """Return the complete configuration that the arguments describe."""
    words = [*args.overrides, f"train.precision={args.precision}", f"train.channels_last={args.channels_last}".lower()]
    words += [f"data.load={args.size}", f"data.crop={args.size}"] if args.size else []
    words += [f"train.batch={args.batch}"] if args.batch else []
    config = methods.resolve(load_config(args.preset, words))
    methods.check(config)
    return config


def noise(config: Config, count: int) -> list[Batch]:
    """Return batches of noise in [-1, 1]."""
    channels = {"A": config.data.channels_a, "B": config.data.channels_b}
    side, size = config.data.crop, config.train.batch
    return [{domain: torch.rand(size, c, side, side) * 2 - 1 for domain, c in channels.items()} for _ in range(count)]


def plain_step(config: Config) -> Callable[[Batch], dict[str, Tensor]]:
    """Return the step to measure against, on networks of its own."""
    reference = REFERENCES[config.method["name"]](config)
    for network in reference.networks().values():
        init_weights(network, config.init.scheme, config.init.gain)
    return lambda batch: reference.step(batch["A"], batch["B"])


def seconds(do: Callable[[], object], device: torch.device) -> float:
    """Return the seconds that `do()` takes: the processor's, or those until a GPU has done it."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = clock()
    do()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return clock() - start


def peak_memory(device: torch.device) -> float:
    """Return the most memory that was in use, in MiB: of this process, or of the GPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def spread(name: str, values: list[float], unit: str = "") -> str:
    """Return a line: median, and from where to where."""
    return f"{name:<16} {median(values):.3f}{unit} ({min(values):.3f} to {max(values):.3f})"


def main() -> None:
    """Read the arguments, take a step of each kind for warmth, then in turn, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="other keys of the configuration")
    parser.add_argument("--preset", default="cyclegan")
    parser.add_argument("--size", type=int, help="pixels of the crop; default: the preset's")
    parser.add_argument("--batch", type=int, help="default: the preset's")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16", "fp16"])
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    config, device = configured(args), args.device
    first, *batches = noise(config, args.steps + 1)
    learner = Learner(config, steps_per_epoch=1000, device=device)
    learner.train_step(first)
    memory = peak_memory(device)
    names = config.method["name"], config.generator["name"]
    has_plain = device.type == "cpu" and names in PLAIN and config.discriminator["name"] == "patchgan"
    plain = plain_step(config) if has_plain else None
    if plain:
        plain(first)
    ours, ratios = [], []
    for batch in batches:
        ours.append(seconds(lambda batch=batch: learner.train_step(batch), device))
        if plain:
            ratios.append(seconds(lambda batch=batch: plain(batch), device) / ours[-1])
    described = f"{config.data.crop} px, batch {config.train.batch}, {args.precision}, {device}, {args.threads} threads"
    print(f"{args.preset}, {described}, torch {torch.__version__}")
    print(spread("step", ours, " s"))
    if ratios:
        print(spread("times as fast", ratios))
    print(f"{'memory':<16} {memory:.0f} MiB at most")


if __name__ == "__main__":
    main()
