"""Bands of rows against the whole image."""

import logging
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from viceversa.backends import Backend, bands, open_backend
from viceversa.backends.bands import Bands
from viceversa.backends.windows import frozen
from viceversa.nets import GENERATORS, Generator
from viceversa.nets.layers import InstanceNorm, set_inference
from viceversa.registry import create

SMALL = 3 * 2**20  # bytes, for bands of few rows
RESNET = {"name": "resnet", "width": 8, "blocks": 1}
NETS = {
    "resnet": RESNET,
    "antialiased": {**RESNET, "upsample": "blur", "antialias": True, "mask": True},
    "batch": {**RESNET, "upsample": "resize", "norm": "batch", "padding": "zeros"},
    "affine": {**RESNET, "upsample": "pixelshuffle", "norm": "instance_affine", "output_norm": True},
    "skip": {**RESNET, "skip": True, "mask": True},
    "standardised": {**RESNET, "norm": "standardised", "upsample": "resize", "output": "clamp"},
    "unet": {"name": "unet", "width": 8, "depth": 5},
    "resnet_vae": {"name": "resnet_vae", "width": 8, "blocks": 2},
    "group": {"name": "res_vae", "width": 8, "norm": "group"},
}


def make(spec: dict, inference: str = "image") -> Generator:
    torch.manual_seed(0)
    net = create(GENERATORS, "generator", spec, 3, 3, size=64)
    for parameter in net.parameters():
        if parameter.ndim > 1:
            parameter.data.mul_(3)  # or the result is gray, and all errors small
    set_inference(net, inference)
    return net.requires_grad_(False)


def image(height: int = 160, width: int = 64, count: int = 1) -> Tensor:
    """Darker at the top, so that parts of it have other statistics than the whole."""
    x = torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))
    return x * torch.linspace(0, 2, height)[:, None] - 1


@pytest.mark.parametrize("spec", NETS.values(), ids=NETS)
def test_bands_equal_the_whole(spec: dict) -> None:
    net, x = make(spec), image()
    whole = net(x)
    assert (Bands(net)(x, SMALL) - whole).abs().max() < 1e-3
    statistics = Bands(net).statistics(x, SMALL)
    assert (frozen(net, statistics)(x) - whole).abs().max() < 1e-3
    assert not Bands(frozen(net, statistics)).norms, "nothing is left to be gathered"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full")
def test_a_full_disk_is_one_line_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "TemporaryFile", lambda **_: open("/dev/full", "r+b", buffering=0))  # noqa: SIM115
    with pytest.raises(OSError, match="TMPDIR"):
        Bands(make(RESNET))(image(), SMALL)


@torch.inference_mode()
def test_the_whole_is_exact_in_every_layout() -> None:
    x = torch.rand(1, 2, 700, 700, generator=torch.Generator().manual_seed(0)) * 0.3 + 0.5
    exact = nn.functional.instance_norm(x.double())
    for layout in (torch.contiguous_format, torch.channels_last):
        assert (InstanceNorm(2)(x.contiguous(memory_format=layout)) - exact).abs().max() < 1e-5


def test_images_of_a_batch_have_their_own_statistics_and_frames_share_theirs() -> None:
    net, x = make(RESNET), torch.cat([image(), -image()])
    assert (Bands(net)(x, SMALL) - net(x)).abs().max() < 1e-3
    shared = Bands(net).statistics(x)
    mean, var = shared["stem.norm"]
    values = net.stem.conv(x)
    assert (mean - values.mean((0, 2, 3))).abs().max() < 1e-5
    assert (var / values.var((0, 2, 3), correction=0) - 1).abs().max() < 1e-5


def backend(net: Generator, memory: int | None = SMALL) -> Backend:
    return open_backend("eager", net, memory)


def test_a_limit_of_memory_makes_bands(caplog: pytest.LogCaptureFixture) -> None:
    net, x = make(RESNET), image(512, 256)
    whole = backend(net, 2**40)(x)
    assert not caplog.records
    translated = backend(net)
    assert 0 < (translated(x) - whole).abs().max() < 1e-3
    assert torch.equal(translated(x), translated(x))
    assert len(caplog.records) == 1, "it is said once"


class SeesAll(Generator):
    """Adds the mean of the image, which no band has."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.conv(x) + x.mean((2, 3), keepdim=True))


def test_running_statistics_need_no_passes() -> None:
    net, x = make(NETS["batch"], "running"), image()
    assert Bands(net).statistics(x) == {}
    assert (Bands(net)(x, SMALL) - net(x)).abs().max() < 1e-3


@pytest.mark.parametrize("net", [SeesAll(), make({**RESNET, "dropout": 0.5}, "original")], ids=["mean", "dropout"])
def test_what_is_not_local_is_computed_whole(net: Generator, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ValueError, match=r"may look at the whole image|draws random numbers"):
        Bands(net)
    x = image(128, 64)
    torch.manual_seed(1)
    whole = backend(net, 2**40)(x)
    torch.manual_seed(1)
    assert torch.equal(backend(net)(x), whole)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
