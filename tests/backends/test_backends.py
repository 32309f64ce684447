"""Every route against eager."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from viceversa.backends import BACKENDS, EXACT, TrainedGenerator, base, measurable, open_backend, psnr
from viceversa.fast_cpu.convolutions import WinogradConv2d, winograd_pays
from viceversa.files import cache_folder
from viceversa.nets import build_generator
from viceversa.nets.layers import set_inference
from viceversa.nets.weights import Card

CPU = torch.device("cpu")
RESNET = {"name": "resnet", "width": 8, "blocks": 2}
NETS = {
    "resnet": RESNET,
    "mask": {**RESNET, "mask": True, "upsample": "pixelshuffle"},
    "antialiased": {**RESNET, "antialias": True, "upsample": "blur", "norm": "instance_affine", "padding": "replicate"},
    "unet": {"name": "unet", "width": 4, "depth": 5, "norm": "batch"},
    "tied": {"name": "vae1", "width": 4, "downs": 3, "latent": 8, "norm": "instance"},
    "coded": {"name": "res_vae", "width": 4, "blocks": 1, "latent": 4},
}


def source(spec: dict, inference: str = "running", seed: int = 0) -> TrainedGenerator:
    """A generator whose weights are large enough that its results are no grey."""
    torch.manual_seed(seed)
    net = build_generator(spec, 3, 3, size=64)
    for parameter in net.parameters():
        if parameter.ndim > 1:
            torch.nn.init.kaiming_normal_(parameter, nonlinearity="linear")
    set_inference(net, inference)  # type: ignore[arg-type]
    card = Card(spec, 3, 3, 64, "AtoB", inference, {})  # type: ignore[arg-type]
    return TrainedGenerator(net.requires_grad_(False), card, CPU)


def pictures(*sizes: tuple[int, int], count: int = 1) -> list[Tensor]:
    draw = np.random.default_rng(0)
    small = [draw.random((count, 3, height // 8, width // 8), np.float32) * 2 - 1 for height, width in sizes]
    return [torch.nn.functional.interpolate(torch.from_numpy(x), scale_factor=8, mode="bilinear") for x in small]


@pytest.mark.parametrize("spec", NETS.values(), ids=NETS)
def test_onnx_computes_every_network_at_every_size(spec: dict) -> None:
    origin = source(spec, "image" if spec["name"] == "unet" else "running")
    inputs = pictures((64, 64)) if origin.net.size else pictures((64, 64), (96, 32), (64, 160))
    inputs += pictures((64, 64), count=3)
    assert psnr(open_backend("onnx", origin), origin.net, inputs) > 90


@pytest.mark.parametrize("name", ["bf16", "openvino"])
def test_other_routes_look_the_same(name: str) -> None:
    for spec in (NETS["resnet"], NETS["tied"]):
        origin = source(spec)
        assert (
            psnr(open_backend(name, origin), origin.net, pictures((64, 64))) > 35
        )  # not trained: worse than any trained
    origin = source(RESNET)
    run = open_backend(name, origin)
    (x,) = pictures((64, 96), count=2)
    assert run(x).shape == x.shape
    assert run(x).dtype == torch.float32
    assert psnr(lambda both: torch.cat([run(both[:1]), run(both[1:])]), run, [x]) > EXACT, "batched or one by one"


def test_eager_is_the_network_itself_and_bf16_hurries_where_it_is_wide() -> None:
    origin = source({**RESNET, "width": 32})
    (x,) = pictures((64, 64))
    plain = origin.net(x)
    last = x.contiguous(memory_format=torch.channels_last)
    assert psnr(open_backend("eager", origin), lambda _: plain, [last]) > 100
    wide = [module for module in origin.net.modules() if isinstance(module, WinogradConv2d)]
    assert not any(module.low_precision for module in wide), "another route leaves the network as it is"
    fast = open_backend("bf16", origin)
    assert psnr(fast, origin.net, [x]) > 35
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("viceversa.fast_cpu.convolutions.winograd_pays", lambda _: False)  # as with matrix units
        direct = fast(x)
    assert wide
    if winograd_pays(torch.bfloat16):
        assert not torch.equal(direct, fast(x))


def test_openvino_goes_on_when_sizes_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("viceversa.backends.openvino.SIZES", 1)
    origin = source(RESNET)
    run = open_backend("openvino", origin)
    for x in pictures((64, 64), (32, 96), (96, 32)):
        assert psnr(run, origin.net, [x]) > 35
    assert list(run.forms) == [(1, 3, 64, 64)]  # type: ignore[attr-defined]
    assert run.any_size is not None  # type: ignore[attr-defined]


def test_int8_is_calibrated_on_examples_and_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    origin = source(RESNET)
    with pytest.raises(ValueError, match=r"sets its ranges on 8 pictures or more, not 0; name some: --calibrate"):
        open_backend("int8", origin)
    shown = replace(origin, examples=[x[:, :, :32, :32] for x in pictures(*[(64, 64)] * 8)])
    assert psnr(open_backend("int8", shown), origin.net, pictures((64, 64))) > 25
    monkeypatch.setattr("viceversa.backends.openvino.quantise", lambda *_: pytest.fail("it is in the cache"))
    open_backend("int8", shown)
    other = replace(origin, examples=[-x for x in shown.examples])
    with pytest.raises(pytest.fail.Exception):
        open_backend("int8", other)
    assert not [path for path in (cache_folder() / "backends").iterdir() if "partial" in path.name]


def test_exported_networks_are_remembered_by_their_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    origin = source(RESNET)
    open_backend("onnx", origin)
    monkeypatch.setattr("viceversa.backends.onnx.export", lambda *_: pytest.fail("it is in the cache"))
    open_backend("onnx", origin)
    assert source(RESNET).digest == origin.digest
    for other in (source(RESNET, seed=1), source({**RESNET, "padding": "zeros"}), source(RESNET, "image")):
        assert other.digest != origin.digest
        with pytest.raises(pytest.fail.Exception):
            open_backend("onnx", other)


class Stubborn(torch.nn.Conv2d):
    """Asks how many pictures there are, in a way that only one number answers."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * len(x)


def test_a_network_exported_for_one_size_only_is_refused() -> None:
    origin = source(RESNET, seed=3)
    origin.net.head = Stubborn(8, 3, 7, padding=3)
    with pytest.raises(ValueError, match="can be exported to ONNX for one size only; use route eager or bf16"):
        open_backend("onnx", origin)
    assert not (cache_folder() / "backends" / f"{origin.digest}.onnx").exists()


def test_what_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    origin = source(RESNET)
    with pytest.raises(ValueError, match=r"route warp is not known: use one of eager, bf16, onnx, openvino, int8"):
        open_backend("warp", origin)
    with pytest.raises(ValueError, match="route onnx computes on the CPU: add --device cpu, or use route bf16"):
        open_backend("onnx", replace(origin, device=torch.device("meta")))
    drawing = source({**RESNET, "dropout": 0.5}, "original")
    for name in BACKENDS.keys() - {"eager"}:
        with pytest.raises(ValueError, match=rf"route {name}: this generator draws random numbers.*; use route eager"):
            open_backend(name, drawing)
    assert open_backend("eager", drawing) is drawing.net
    assert measurable(drawing) == []
    assert measurable(origin) == ["bf16", "openvino", "onnx"]
    monkeypatch.setattr(base, "installed", lambda *_: False)
    for name, extra in (("onnx", "onnx"), ("openvino", "openvino"), ("int8", "openvino")):
        with pytest.raises(
            ValueError, match=rf'route {name}: \w+ is not installed; pip install "viceversa\[{extra}\]"'
        ):
            open_backend(name, origin)


def test_exactness_is_that_of_the_worst_picture() -> None:
    inputs = [torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8)]
    assert psnr(lambda x: x + 0.02, lambda x: x, inputs[:1]) == pytest.approx(40)
    assert psnr(lambda x: x * 1.2, lambda x: x, inputs) == pytest.approx(20)
    assert psnr(lambda x: x, lambda x: x, inputs) == float("inf")


def test_nothing_is_sent_to_anybody(tmp_path: Path) -> None:
    code = "import sys; from viceversa.backends.openvino import imported; imported('openvino'), imported('nncf'); "
    code += "print([name for name in sys.modules if 'telemetry' in name and sys.modules[name] and 'stub' not in name])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "HOME": str(tmp_path)}
    )
    assert result.returncode == 0, result.stderr
    assert "openvino_telemetry" not in result.stdout
    assert list(tmp_path.iterdir()) == [], "it leaves its notes in the home folder"
