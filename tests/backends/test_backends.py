"""Every backend, and every exported file, against the network itself."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from viceversa.backends import BACKENDS, Backend, exported, load_network, open_backend, psnr
from viceversa.backends.exported import write_exported
from viceversa.nets import GENERATORS, Generator
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


def trained(spec: dict, inference: str = "running", seed: int = 0) -> Generator:
    """A generator whose weights are large enough that its results are not gray."""
    torch.manual_seed(seed)
    net = create(GENERATORS, "generator", spec, 3, 3, size=64)
    for parameter in net.parameters():
        if parameter.ndim > 1:
            torch.nn.init.kaiming_normal_(parameter, nonlinearity="linear")
    set_inference(net, inference)
    return net.requires_grad_(False)


def through_file(path: Path, net: Generator, precision: str = "fp32") -> Generator:
    write_exported(path, net, Card(RESNET, 3, 3, 64, "AtoB", "running", {}), precision)
    return load_network(path)[0]


def inputs(*sizes: tuple[int, int], count: int = 1) -> list[Tensor]:
    draw = np.random.default_rng(0)
    small = [draw.random((count, 3, height // 8, width // 8), np.float32) * 2 - 1 for height, width in sizes]
    return [torch.nn.functional.interpolate(torch.from_numpy(x), scale_factor=8, mode="bilinear") for x in small]


@pytest.mark.parametrize("spec", NETS.values(), ids=NETS)
def test_onnx_computes_every_network_at_every_size(spec: dict, tmp_path: Path) -> None:
    net = trained(spec, "image" if spec["name"] == "unet" else "running")
    sizes = [(64, 64)] if net.size else [(64, 64), (96, 32), (64, 160)]
    batches = [*inputs(*sizes), *inputs((64, 64), count=3)]
    assert psnr(through_file(tmp_path / "G.onnx", net), net, batches) > 90


@pytest.mark.parametrize("name", ["bf16", "openvino"])
def test_other_backends_look_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The networks are not trained, and their results worse than those of any that is."""
    monkeypatch.setattr(exported, "SIZES", 1)

    def opened(net: Generator) -> Backend:
        return open_backend(name, net) if name in BACKENDS else through_file(tmp_path / "G.xml", net, "fp16")

    for spec in (NETS["tied"], {**RESNET, "width": 32}):
        net = trained(spec)
        assert psnr(opened(net), net, inputs((64, 64))) > 35
    net = trained(RESNET)
    backend = opened(net)
    for x in inputs((64, 64), (32, 96), (96, 32)):
        assert psnr(backend, net, [x]) > 35
    (x,) = inputs((64, 96), count=2)
    assert (backend(x).shape, backend(x).dtype) == (x.shape, torch.float32)
    assert psnr(lambda both: torch.cat([backend(both[:1]), backend(both[1:])]), backend, [x]) > 45, "or one by one"


def test_eager_is_the_network_itself_and_bf16_leaves_it_alone() -> None:
    net = trained(RESNET)
    (x,) = inputs((64, 64))
    before = net(x)
    open_backend("bf16", net)(x)
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float32}
    last = x.contiguous(memory_format=torch.channels_last)
    assert psnr(open_backend("eager", net), lambda _: before, [last]) > 100


class Stubborn(torch.nn.Conv2d):
    """Asks how many images there are, in a way that only one number answers."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * len(x)


def test_a_network_exported_for_one_size_only_is_refused(tmp_path: Path) -> None:
    net = trained(RESNET, seed=3)
    net.head = Stubborn(8, 3, 7, padding=3)
    with pytest.raises(ValueError, match="can be exported to ONNX for one size only"):
        through_file(tmp_path / "G.onnx", net)


def test_what_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"warp is not known; use one of eager, bf16"):
        open_backend("warp", trained(RESNET))
    drawing = trained({**RESNET, "dropout": 0.5}, "original")
    with pytest.raises(ValueError, match=r"bf16: this generator draws random numbers.*; use eager"):
        open_backend("bf16", drawing)
    open_backend("eager", drawing)
    monkeypatch.setattr(exported, "find_spec", lambda _: None)
    for suffix, extra in ((".onnx", "onnx"), (".xml", "openvino")):
        with pytest.raises(ValueError, match=rf'\w+ is not installed; pip install "viceversa\[{extra}\]"'):
            load_network(Path(f"G{suffix}"))


def test_exactness_is_that_of_the_worst_image() -> None:
    both = [torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8)]
    assert psnr(lambda x: x + 0.02, lambda x: x, both[:1]) == pytest.approx(40)
    assert psnr(lambda x: x * 1.2, lambda x: x, both) == pytest.approx(20)
    assert psnr(lambda x: x, lambda x: x, both) == float("inf")
    assert np.isnan(psnr(lambda x: x / x, lambda x: x, both))


def test_nothing_is_sent_to_anybody(tmp_path: Path) -> None:
    code = "import sys; from viceversa.backends.exported import openvino; openvino(); "
    code += "print([name for name in sys.modules if 'telemetry' in name and sys.modules[name] and 'stub' not in name])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "HOME": str(tmp_path)}
    )
    assert result.returncode == 0, result.stderr
    assert "openvino_telemetry" not in result.stdout
    assert list(tmp_path.iterdir()) == [], "it leaves its notes in the home folder"
