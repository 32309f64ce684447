"""How close can the output of a network come to a picture, if its last layer is normalised?

python experiments/output_norm.py [--quick]

No network is trained: the values that reach the last layer are free, and are optimised for each picture, beginning with
the picture itself. So a network, which has to make them of something, comes no closer than what is found here, but for
what more steps would find (400 instead of 200: a hundredth less). Pictures are glasses of water and wine, 64 px; the
distance is L1, that of the cycle and identity losses.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import instance_norm, l1_loss

from viceversa.data import water2wine


def pictures(seed: int, count: int) -> Tensor:
    """Return training pictures of both domains, (2 * count, 3, 64, 64) in [-1, 1]."""
    with TemporaryDirectory() as folder:
        water2wine.make(Path(folder) / "data", size=64, count=count, test=1, seed=seed)
        files = sorted((Path(folder) / "data").glob("train*/*"))
        images = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def floor(target: Tensor, normalised: bool, steps: int) -> float:
    """Return the least L1 distance of tanh(z), or tanh(instance norm of z), to the targets that was found."""
    z = (target * 0.98).atanh().requires_grad_()
    optimizer = torch.optim.Adam([z], lr=0.02)
    best = float("inf")
    for _ in range(steps):
        loss = l1_loss((instance_norm(z) if normalised else z).tanh(), target)
        best = min(best, loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return best


def main() -> None:
    """Print a table: mean and standard deviation over sets of pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two small sets, few steps")
    count, steps, seeds = (4, 20, range(2)) if parser.parse_args().quick else (8, 600, range(3))
    sets = [pictures(seed, count) for seed in seeds]
    cases = {  # in levels of 255
        "tanh, pictures in [-1, 1]": [127.5 * floor(target, False, steps) for target in sets],
        "instance norm, tanh, pictures in [-1, 1]": [127.5 * floor(target, True, steps) for target in sets],
        "instance norm, tanh, pictures in [0, 1]": [255 * floor((target + 1) / 2, True, steps) for target in sets],
    }
    print("| last layer and data | least mean distance, of 255 |\n|---|---|")
    for name, found in cases.items():
        print(f"| {name} | {mean(found):.1f} ± {stdev(found):.1f} |")


if __name__ == "__main__":
    main()
