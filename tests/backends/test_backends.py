"""Every backend against eager."""

import os
import subprocess
import sys
from dataclasses import replace
from importlib import util
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from viceversa.backends import BACKENDS, TrainedGenerator, open_backend, openvino, psnr
from viceversa.nets import GENERATORS
from viceversa.nets.layers import set_inference
from viceversa.nets.weights import Card
from viceversa.registry import create

RESNET = {"name": "resnet", "width": 8, "blocks": 1}
NETS = {
    "resnet": RESNET,
    "mask": {**RESNET, "mask": True, "upsample": "pixelshuffle"},
    "antialiased": {**RESNET, "antialias": True, "upsample": "blur", "norm": "instance_affine", "padding": "replicate"},
    "unet": {"name": "unet", "width": 4, "depth": 5, "norm": "batch"},
    "tied": {"name": "vae1", "width": 4, "downs": 3, "latent": 8, "norm": "instance"},
    "coded": {"name": "res_vae", "width": 4, "blocks": 1, "latent": 4},
}


def trained(spec: dict, inference: str = "running", seed: int = 0) -> TrainedGenerator:
    """A generator whose weights are large enough that its results are not gray."""
    torch.manual_seed(seed)
    net = create(GENERATORS, "generator", spec, 3, 3, size=64)
    for parameter in net.parameters():
        if parameter.ndim > 1:
            torch.nn.init.kaiming_normal_(parameter, nonlinearity="linear")
    set_inference(net, inference)
    card = Card(spec, 3, 3, 64, "AtoB", inference, {})
    return TrainedGenerator(net.requires_grad_(False), card, torch.device("cpu"))


def inputs(*sizes: tuple[int, int], count: int = 1) -> list[Tensor]:
    draw = np.random.default_rng(0)
    small = [draw.random((count, 3, height // 8, width // 8), np.float32) * 2 - 1 for height, width in sizes]
    return [torch.nn.functional.interpolate(torch.from_numpy(x), scale_factor=8, mode="bilinear") for x in small]


@pytest.mark.parametrize("spec", NETS.values(), ids=NETS)
def test_onnx_computes_every_network_at_every_size(spec: dict) -> None:
    origin = trained(spec, "image" if spec["name"] == "unet" else "running")
    sizes = [(64, 64)] if origin.net.size else [(64, 64), (96, 32), (64, 160)]
    batches = [*inputs(*sizes), *inputs((64, 64), count=3)]
    assert psnr(open_backend("onnx", origin), origin.net, batches) > 90


@pytest.mark.parametrize("name", ["bf16", "openvino"])
def test_other_backends_look_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The networks are not trained, and their results worse than those of any that is."""
    monkeypatch.setattr(openvino, "SIZES", 1)
    for spec in (NETS["tied"], {**RESNET, "width": 32}):
        origin = trained(spec)
        assert psnr(open_backend(name, origin), origin.net, inputs((64, 64))) > 35
    origin = trained(RESNET)
    backend = open_backend(name, origin)
    for x in inputs((64, 64), (32, 96), (96, 32)):
        assert psnr(backend, origin.net, [x]) > 35
    (x,) = inputs((64, 96), count=2)
    assert (backend(x).shape, backend(x).dtype) == (x.shape, torch.float32)
    assert psnr(lambda both: torch.cat([backend(both[:1]), backend(both[1:])]), backend, [x]) > 45, "or one by one"


def test_eager_is_the_network_itself_and_bf16_leaves_it_alone() -> None:
    origin = trained(RESNET)
    (x,) = inputs((64, 64))
    before = origin.net(x)
    open_backend("bf16", origin)(x)
    assert {parameter.dtype for parameter in origin.net.parameters()} == {torch.float32}
    last = x.contiguous(memory_format=torch.channels_last)
    assert psnr(open_backend("eager", origin), lambda _: before, [last]) > 100


class Stubborn(torch.nn.Conv2d):
    """Asks how many images there are, in a way that only one number answers."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * len(x)


def test_a_network_exported_for_one_size_only_is_refused() -> None:
    origin = trained(RESNET, seed=3)
    origin.net.head = Stubborn(8, 3, 7, padding=3)
    with pytest.raises(ValueError, match="can be exported to ONNX for one size only; use eager or bf16"):
        open_backend("onnx", origin)


def test_what_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    origin = trained(RESNET)
    with pytest.raises(ValueError, match=r"warp is not known; use one of eager, bf16, onnx, openvino"):
        open_backend("warp", origin)
    with pytest.raises(ValueError, match="onnx computes on the CPU; add --device cpu, or use bf16"):
        open_backend("onnx", replace(origin, device=torch.device("meta")))
    drawing = trained({**RESNET, "dropout": 0.5}, "original")
    for name in BACKENDS.keys() - {"eager"}:
        with pytest.raises(ValueError, match=rf"{name}: this generator draws random numbers.*; use eager"):
            open_backend(name, drawing)
    open_backend("eager", drawing)
    monkeypatch.setattr(util, "find_spec", lambda _: None)
    for name in ("onnx", "openvino"):
        with pytest.raises(ValueError, match=rf'{name}: \w+ is not installed; pip install "viceversa\[{name}\]"'):
            open_backend(name, origin)


def test_exactness_is_that_of_the_worst_image() -> None:
    both = [torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8)]
    assert psnr(lambda x: x + 0.02, lambda x: x, both[:1]) == pytest.approx(40)
    assert psnr(lambda x: x * 1.2, lambda x: x, both) == pytest.approx(20)
    assert psnr(lambda x: x, lambda x: x, both) == float("inf")
    assert np.isnan(psnr(lambda x: x / x, lambda x: x, both))


def test_nothing_is_sent_to_anybody(tmp_path: Path) -> None:
    code = "import sys; from viceversa.backends.openvino import imported; imported('openvino'); "
    code += "print([name for name in sys.modules if 'telemetry' in name and sys.modules[name] and 'stub' not in name])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "HOME": str(tmp_path)}
    )
    assert result.returncode == 0, result.stderr
    assert "openvino_telemetry" not in result.stdout
    assert list(tmp_path.iterdir()) == [], "it leaves its notes in the home folder"
