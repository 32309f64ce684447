"""How fast are pictures translated? Every backend against plain float32, and `translate` against the classic loop.

Plain is CycleGAN's generator as the first implementation writes it, contiguous, with the same weights. The classic loop
is what their test.py does: Pillow and torchvision's transforms, one picture after the other, plain float32, and both
pictures saved as PNG. Times are CPU time of the process, on one thread unless told, taken in turn.

    python benchmarks/inference.py OUT                     # draws pictures, trains a ResNet-9 for 300 steps, measures
    python benchmarks/inference.py OUT --only untrained    # ResNet-9 and U-Net-256 with random weights
    python benchmarks/inference.py OUT --pictures 500 --wall --threads 2 --only backends

What is drawn, trained and converted stays in OUT, so the same command again only measures.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import shutil
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import reference_nets
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import transforms

import viceversa
from viceversa.backends import BACKENDS, Backend, load_network, open_backend
from viceversa.backends.exported import Precision, write_exported
from viceversa.data import water2wine
from viceversa.data.image_io import read_image
from viceversa.nets import GENERATORS, Generator
from viceversa.nets.layers import set_inference
from viceversa.nets.weights import Card
from viceversa.registry import create
from viceversa.translate import TranslateOptions, translate_images
from viceversa.translator import Translator

SHORT = ["data.load=140", "data.crop=128", "train.precision=bf16", "train.channels_last=true"]
NETS = {
    "ResNet-9": {"name": "resnet"},
    "U-Net-256": {"name": "unet", "depth": 8, "norm": "batch", "dropout": 0.0},
}
NET = ["generator.name=resnet", "generator.norm=instance", "generator.dropout=0", "method.l1=100"]


def jpegs(folder: Path, count: int, size: int) -> list[Path]:
    """Draw glasses of water as JPEG files, once."""
    target = folder / f"jpeg{size}"
    if not target.is_dir():
        water2wine.make(folder / f"drawn{size}", size=size, count=1, test=count)
        target.mkdir()
        for path in (folder / f"drawn{size}" / "testA").iterdir():
            with Image.open(path) as image:
                image.convert("RGB").save(target / f"{path.stem}.jpg", quality=90)
    return sorted(target.iterdir())[:count]


def trained(folder: Path, steps: int) -> Path:
    """Train CycleGAN's generator on pairs for some minutes, once: exactness on random weights says nothing."""
    run = folder / "run"
    if not (run / "weights").is_dir():
        water2wine.make(folder / "pairs", size=128, count=1, test=300)
        data = [f"data.a={folder}/pairs/testA", f"data.b={folder}/pairs/testB", "data.layout=paired"]
        length = [f"train.length={steps} steps", f"train.decay={steps // 3} steps"]
        viceversa.train(viceversa.load_config("pix2pix", [*NET, *SHORT, *data, *length, f"run={run}"]))
    return run


def plain(translator: Translator) -> nn.Module:
    """Return the generator as the first implementation writes it, with the same weights."""
    options = translator.card.generator
    if options["name"] != "resnet" or options.get("mask") or options.get("upsample", "transposed") != "transposed":
        raise ValueError("to be set beside the original, a generator must be CycleGAN's: resnet, without a mask")
    shape = {"width": options["width"], "blocks": options["blocks"], "downs": options.get("downs", 2)}
    net = reference_nets.resnet(3, 3, **shape, antialias=False)
    with torch.no_grad():
        for mine, theirs in zip(net.parameters(), translator.net.parameters(), strict=True):
            mine.copy_(theirs)
    return net.eval()


class Classic:
    """The loop of the originals' test.py."""

    def __init__(self, net: nn.Module, size: int) -> None:
        self.net = net
        self.transform = transforms.Compose(
            [
                transforms.Resize([size, size], transforms.InterpolationMode.BICUBIC),
                transforms.ToTensor(),
                transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
            ]
        )

    def __call__(self, files: Iterable[Path], out: Path) -> None:
        """Translate files, one by one."""
        out.mkdir(parents=True, exist_ok=True)
        for file in files:
            x = self.transform(Image.open(file).convert("RGB"))[None]
            with torch.no_grad():
                y = self.net(x)
            for name, batch in (("real", x), ("fake", y)):
                pixels = ((batch[0].float().numpy().transpose(1, 2, 0) + 1) / 2 * 255).astype("uint8")
                Image.fromarray(pixels).save(out / f"{file.stem}_{name}.png")


def decibels(found: Tensor, exact: Tensor) -> float:
    """Return the PSNR of pictures in [-1, 1]."""
    off = ((found - exact) / 2).square().mean().item()
    return -10 * math.log10(off) if off else math.inf


def in_turn(contenders: dict[str, Callable[[], object]], rounds: int, clock: Callable[[], float]) -> None:
    """Print each one's median time, and its ratio to the first one's of the same round, with the spread."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, do in contenders.items():
            start = clock()
            do()
            times[name].append(clock() - start)
    first = next(iter(times.values()))
    for name, found in times.items():
        ratios = [one / other for one, other in zip(first, found, strict=True)]
        spread = f"{statistics.median(ratios):5.2f} x ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"  {name:22} {statistics.median(found):8.3f} s  {spread}")


FILES: dict[str, tuple[str, Precision]] = {
    "onnx": (".onnx", "fp32"),
    "openvino": (".xml", "fp16"),
    "openvino, float32": (".xml", "fp32"),
    "int8": (".xml", "int8"),
}


def exported(name: str, net: Generator, card: Card, inputs: Sequence[Tensor] = ()) -> Backend:
    """Return the network as `viceversa export` writes it in one of `FILES`."""
    suffix, precision = FILES[name]
    with TemporaryDirectory() as folder:
        file = Path(folder) / f"G{suffix}"
        write_exported(file, net, card, precision, examples=inputs[8:24])
        return load_network(file)[0]


@torch.inference_mode()
def backends(translator: Translator, files: list[Path], size: int, rounds: int, clock: Callable[[], float]) -> None:
    """Compare one picture's time by every backend."""
    pictures = [read_image(file) for file in files[:40]]
    inputs = [translator.prepare(picture).x for picture in pictures]
    original = plain(translator)
    exact = original(inputs[0])
    contenders: dict[str, Callable[[], object]] = {"plain float32": lambda: original(inputs[0])}
    runs = {name: translator.with_backend(name).backend for name in BACKENDS}
    runs |= {name: exported(name, translator.net, translator.card, inputs) for name in FILES}
    for name, run in runs.items():
        contenders[name] = lambda run=run: run(inputs[0])  # type: ignore[misc]
        worst = min(decibels(run(x), original(x)) for x in inputs[:3])
        print(f"  {name:22} {worst:6.1f} dB to plain float32, the worst of three pictures")
    assert decibels(translator.backend(inputs[0]), exact) > 90
    print(f"one picture of {size} px:")
    in_turn(contenders, rounds, clock)


@torch.inference_mode()
def untrained(rounds: int, clock: Callable[[], float]) -> None:
    """Compare the published networks' times at 256 px; of random weights exactness says nothing."""
    for title, spec in NETS.items():
        torch.manual_seed(0)
        net = create(GENERATORS, "generator", spec, 3, 3, size=256).requires_grad_(False)
        set_inference(net, "image")
        card = Card(spec, 3, 3, 256, "AtoB", "image", {})
        x = torch.rand(1, 3, 256, 256) * 2 - 1
        contenders: dict[str, Backend] = {"plain float32": copy.deepcopy(net)}
        contenders |= {name: exported(name, net, card) for name in FILES if name != "int8"}
        contenders |= {name: open_backend(name, net) for name in ("bf16", "eager")}
        for run in contenders.values():
            run(x)  # which compiles
        print(f"{title}, 256 px:")
        in_turn({each: partial(run, x) for each, run in contenders.items()}, rounds, clock)


def end_to_end(
    run: Path, translator: Translator, files: list[Path], size: int, rounds: int, clock: Callable[[], float]
) -> None:
    """Compare folders of pictures, from JPEG files to PNG files, start of the network included."""
    out, source = run.parent / "translated", run.parent / "some"
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir()
    for file in files:
        os.link(file, source / file.name)
    classic = Classic(plain(translator), size)

    file = run.parent / "exported.xml"
    write_exported(file, translator.net, translator.card, "fp16")

    def ours(name: str) -> Callable[[], object]:
        model, backend = (run, name) if name in BACKENDS else (file, "eager")
        options = TranslateOptions(backend=backend, device="cpu", overwrite=True)
        return lambda: translate_images(model, str(source), out / name, options)

    contenders: dict[str, Callable[[], object]] = {"classic loop": lambda: classic(files, out / "classic")}
    contenders |= {f"translate, {name}": ours(name) for name in ("eager", "bf16", "openvino")}
    print(f"{len(files)} pictures of {size} px, from file to file:")
    # outputs are named as their inputs, JPEG; PNG is what the classic loop writes, and takes longer
    with mock.patch("viceversa.translate.source.write_image", as_png):
        in_turn(contenders, rounds, clock)


def as_png(path: Path, *picture: object) -> None:
    """Write a PNG under a JPEG's name."""
    from viceversa.data.image_io import write_image

    write_image(path.with_suffix(".png"), *picture)  # type: ignore[arg-type]


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("out", type=Path)
    for name, value in (("size", 256), ("pictures", 500), ("rounds", 5), ("threads", 1), ("steps", 300)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--wall", action="store_true", help="wall-clock time, on a machine that does nothing else")
    parser.add_argument("--only", choices=["backends", "files", "untrained"])
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    clock = time.perf_counter if args.wall else time.process_time
    if args.only == "untrained":
        untrained(args.rounds, clock)
        return
    run = trained(args.out, args.steps)
    files = jpegs(args.out, max(40, args.pictures), args.size)
    translator = Translator.load(run)
    if args.only != "files":
        backends(translator, files, args.size, args.rounds, clock)
    if args.only != "backends":
        end_to_end(run, translator, list(islice(files, args.pictures)), args.size, args.rounds, clock)


if __name__ == "__main__":
    main()
