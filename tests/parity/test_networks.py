"""Files that the original implementations wrote, read and run by ours: the same answers to 1e-5.

Every .pth beside which lies a .npz of its name, with `input` and some of the answers below.
"""

import copy
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from golden_files import golden_files
from torch import Tensor

from viceversa.fast_cpu import accelerate
from viceversa.interop import read_original
from viceversa.nets import Discriminator, Generator

CUT_LAYERS = {0: "input", 4: "down1", 8: "down2"} | {11 + i: f"block{i}" for i in range(1, 20)}


def answer(net: Generator | Discriminator, x: Tensor, name: str) -> Tensor:
    """What a network answers to the question that a golden file's array is named after."""
    if name in ("mu", "logvar"):
        return net.encode(x)[name == "logvar"]
    if match := re.fullmatch(r"feature_(\d+)", name):
        return net.features(x, [CUT_LAYERS[int(match[1])]])[0]
    assert name in ("output_eval", "output_of_mu")
    return net(x)


def distance(found: Tensor, wanted: Tensor) -> float:
    return float((found.double().reshape(wanted.shape) - wanted).abs().max() / wanted.abs().max())


@pytest.mark.parametrize("path", golden_files(".pth", ".npz"), ids=lambda path: path.stem)
def test_answers_are_the_originals(path: Path) -> None:
    original, weights = read_original(path)
    plain = original.build()
    plain.load_state_dict(weights)
    plain.eval().requires_grad_(False)
    exact, fast = copy.deepcopy(plain).double(), copy.deepcopy(plain).to(memory_format=torch.channels_last)
    accelerate(fast)
    arrays = {name: torch.from_numpy(array) for name, array in np.load(path.with_suffix(".npz")).items()}
    x = arrays.pop("input").float()
    assert arrays
    for name, array in arrays.items():
        truth, wanted = answer(exact, x.double(), name), array.double()
        limit = max(1e-5, 2 * distance(answer(plain, x, name), truth))  # the file's own rounding may be as large
        assert distance(truth, wanted) < limit, name
        assert distance(answer(fast, x, name), wanted) < 2 * limit, name
