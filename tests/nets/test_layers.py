"""Normalisation, resampling, inference modes and first weights."""

from typing import Literal, get_args

import pytest
import torch
from torch import Tensor, nn

from viceversa.nets import PatchGAN, UNetGenerator
from viceversa.nets.blocks import BlurDown, BlurUp
from viceversa.nets.layers import BatchNorm, InstanceNorm, Scheme, init_weights, set_inference

LAYOUTS = [torch.contiguous_format, torch.channels_last]
NAMES = ["contiguous", "channels_last"]


def as_rows(x: Tensor) -> Tensor:
    """The same values laid out as the gradient of CUT's patches is: rows of pixels, with odd strides for one image."""
    return x.flatten(2).transpose(1, 2).contiguous().transpose(1, 2).unflatten(2, x.shape[2:])


INCOMING = {
    "contiguous": torch.Tensor.contiguous,
    "channels_last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "rows": as_rows,
}


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_definition(x: Tensor, weight: Tensor | float = 1.0, bias: Tensor | float = 0.0) -> Tensor:
    mean = x.mean((2, 3), keepdim=True)
    variance = (x - mean).square().mean((2, 3), keepdim=True)
    return (x - mean) / (variance + 1e-5).sqrt() * weight + bias


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize("incoming", INCOMING)
@pytest.mark.parametrize("layout", LAYOUTS, ids=NAMES)
@pytest.mark.parametrize("affine", [False, True], ids=["plain", "affine"])
def test_instance_norm_has_the_right_gradient(
    affine: bool, layout: torch.memory_format, incoming: str, batch: int, dtype: torch.dtype
) -> None:
    norm, weight, bias = InstanceNorm(5, affine=affine).double(), noise(5, seed=3), noise(5, seed=4)
    if affine:
        norm.load_state_dict({"weight": weight, "bias": bias})
    values, gradient = noise(batch, 5, 6, 8).to(dtype), noise(batch, 5, 6, 8, seed=1).to(dtype)

    x = values.double().detach().clone().requires_grad_()
    shape = (1, 5, 1, 1)
    wanted = by_definition(x, weight.view(shape), bias.view(shape)) if affine else by_definition(x)
    wanted.backward(gradient.double())

    y = values.detach().clone(memory_format=layout).requires_grad_()
    found = norm.to(dtype)(y)
    found.backward(INCOMING[incoming](gradient))

    limit = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 0.05}[dtype]
    assert (found.double() - wanted).abs().max() < limit * wanted.abs().max()
    assert (y.grad.double() - x.grad).abs().max() < limit * x.grad.abs().max()


def test_batch_norm_of_one_image_has_the_right_gradient_for_rows() -> None:
    values, gradient = noise(1, 5, 6, 8), noise(1, 5, 6, 8, seed=1)
    x, y = values.clone().requires_grad_(), values.clone().requires_grad_()
    by_definition(x).backward(gradient)
    BatchNorm(5).double()(y).backward(as_rows(gradient))
    torch.testing.assert_close(y.grad, x.grad)


def test_instance_norm_is_the_same_in_training_and_evaluation_and_exports_as_itself() -> None:
    x = noise(2, 3, 4, 4).float()
    assert torch.equal(InstanceNorm(3).train()(x), InstanceNorm(3).eval()(x))
    program = torch.export.export(InstanceNorm(3), (x,))
    assert "instance_norm" in str(program.graph)
    torch.testing.assert_close(program.module()(x), InstanceNorm(3)(x))


def test_batch_norm_can_use_each_images_own_statistics() -> None:
    norm, x = BatchNorm(3), noise(2, 3, 4, 4).float()
    nn.init.normal_(norm.weight)
    norm(5 + 2 * x)  # running statistics that fit nothing
    buffers = [b.clone() for b in norm.buffers()]
    alone = [norm.train()(one) for one in x.split(1)]
    for buffer, value in zip(norm.buffers(), buffers, strict=True):
        buffer.copy_(value)

    set_inference(norm, "image")
    torch.testing.assert_close(norm(x), torch.cat(alone))
    assert all(torch.equal(a, b) for a, b in zip(norm.buffers(), buffers, strict=True))
    set_inference(norm, "running")
    assert not torch.allclose(norm(x), torch.cat(alone), atol=0.1)


def test_original_inference_is_training_mode_on_one_image() -> None:
    torch.manual_seed(0)
    net, x = UNetGenerator(3, 3, width=2, depth=6), torch.rand(1, 3, 64, 64)
    net(x)
    set_inference(net, "original")
    torch.manual_seed(1)
    found = net(x)
    assert not torch.equal(found, net(x))  # dropout is on
    torch.manual_seed(1)
    torch.testing.assert_close(net.train()(x), found)
    set_inference(net, "image")
    assert torch.equal(net(x), net(x))


@pytest.mark.parametrize("scheme", get_args(Scheme))
def test_first_weights(scheme: Literal["normal", "xavier", "kaiming", "orthogonal"]) -> None:
    net = PatchGAN(3, width=64, layers=2, norm="batch")
    torch.manual_seed(0)
    init_weights(net, scheme, 0.02)
    conv, norm = net.layers[1].conv, net.layers[1].norm
    fan_in, fan_out = 64 * 16, 128 * 16
    spread = {
        "normal": 0.02,
        "xavier": 0.02 * (2 / (fan_in + fan_out)) ** 0.5,
        "kaiming": (2 / fan_in) ** 0.5,
        "orthogonal": 0.02 * fan_in**-0.5,
    }[scheme]
    assert conv.weight.std().item() == pytest.approx(spread, rel=0.02)
    assert norm.weight.mean().item() == pytest.approx(1, abs=0.01)
    assert norm.weight.std().item() == pytest.approx(0.02, rel=0.2)
    assert not net.head.bias.any()
    assert not norm.bias.any()

    again = PatchGAN(3, width=64, layers=2, norm="batch")
    torch.manual_seed(0)
    init_weights(again, scheme, 0.02)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize("size", [(8, 6), (7, 5)])
def test_blur_down_is_the_binomial_filter_with_reflected_edges_and_up_is_bilinear(size: tuple[int, int]) -> None:
    x = noise(1, 2, *size)
    wide = torch.nn.functional.pad(x, [1, 1, 1, 1], mode="reflect")
    rows = (wide[:, :, :-2] + 2 * wide[:, :, 1:-1] + wide[:, :, 2:]) / 4
    both = (rows[..., :-2] + 2 * rows[..., 1:-1] + rows[..., 2:]) / 4
    torch.testing.assert_close(BlurDown(2).double()(x), both[:, :, ::2, ::2])
    larger = torch.nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(BlurUp(2).double()(x), larger)
