"""The bricks: normalisation, blurred resampling, first weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized

from viceversa.config import Inference

Padding: TypeAlias = Literal["reflect", "replicate", "zeros"]
Norm: TypeAlias = Literal["instance", "instance_affine", "batch", "none"]
ConvNorm: TypeAlias = Literal["instance", "instance_affine", "batch", "none", "standardised"]
Scheme: TypeAlias = Literal["normal", "xavier", "kaiming", "orthogonal"]

_recomputing: ContextVar[bool] = ContextVar("_recomputing", default=False)


@contextmanager
def recomputing() -> Iterator[Any]:
    """While this runs, what has been computed before is computed again: statistics must not count it twice."""
    token = _recomputing.set(True)
    try:
        yield
    finally:
        _recomputing.reset(token)


LARGE = 2**16
"""Pixels of a map from which on its statistics are not left to batch_norm."""


def normalise_each(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """Bring every channel of every image to zero mean and unit variance, then scale and shift it.

    On the CPU `instance_norm` returns a wrong gradient for one image when the incoming gradient is channels_last
    (torch 2.14.1), so there it is spelled as `batch_norm` of one image at a time.
    """
    if not on_cpu(x):
        return functional.instance_norm(x, weight=weight, bias=bias, eps=eps)
    if len(x) > 1:
        return torch.cat([normalise_each(image, weight, bias, eps) for image in torch.split(x, 1)])
    if x[0, 0].numel() > LARGE and not x.is_contiguous() and not torch.is_grad_enabled():
        # of channels_last maps batch_norm adds up the pixels one by one, in float32: 0.02 off at 1536 x 1536
        var, mean = torch.var_mean(x, (0, 2, 3), correction=0)
        return functional.batch_norm(x, mean, var, weight, bias, eps=eps)
    return in_layout(functional.batch_norm(x, None, None, weight, bias, training=True, eps=eps))


def in_layout(y: Tensor) -> Tensor:
    """Return `y`; its gradient will arrive in the memory layout that `y` has.

    The CPU's `batch_norm`, too, returns a wrong gradient for one image (torch 2.14.1) when the incoming one, as that of
    CUT's patches, is laid out otherwise.
    """
    if y.requires_grad and on_cpu(y):
        layout = torch.contiguous_format if y.is_contiguous() else torch.channels_last
        y.register_hook(lambda gradient: gradient.contiguous(memory_format=layout))  # type: ignore[no-untyped-call]
    return y


def on_cpu(x: Tensor) -> bool:
    """Whether torch's CPU kernels compute this: not on a GPU, and not while a compiler traces."""
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


class InstanceNorm(nn.InstanceNorm2d):
    """Instance normalisation (Ulyanov et al., 2016): the same in training and at inference, whatever the batch."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape; H * W must be 2 or more."""
        return normalise_each(x, self.weight, self.bias, self.eps)


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation that can also normalise each image by its own statistics at inference, as pix2pix does."""

    inference: Literal["running", "image"] = "running"

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape; in evaluation mode the running statistics are never touched."""
        if self.training and _recomputing.get():
            assert self.running_mean is not None
            assert self.running_var is not None
            spare = self.running_mean.clone(), self.running_var.clone()
            return in_layout(functional.batch_norm(x, *spare, self.weight, self.bias, training=True, eps=self.eps))
        if self.training or self.inference == "running":
            return in_layout(super().forward(x))
        return normalise_each(x, self.weight, self.bias, self.eps)


class Clamp(nn.Module):
    """In place of a final tanh: cut off what exceeds [-1, 1], and with it the gradient that would push it further.

    A tanh that was driven to its end has no slope, so a pixel that became black or white stays so; here what pulls it
    back still arrives (Hausknecht and Stone, 2016; arXiv 1511.04143).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return InwardClamp.apply(x) if x.requires_grad else x.clamp(-1, 1)


class InwardClamp(torch.autograd.Function):
    """Clamp to [-1, 1]; beyond it, only a gradient whose descent leads back passes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Any shape."""
        ctx.save_for_backward(x)
        return x.clamp(-1, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """The same shape."""
        (x,) = ctx.saved_tensors
        outward = (x.abs() > 1) & (x * gradient < 0)
        return gradient.masked_fill(outward, 0)


class StandardisedWeights(nn.Module):
    """In place of a norm: the filters of the convolution before it are kept standardised, and each channel has a gain.

    Filters of zero mean and a norm of 1.7, which is what a ReLU takes away, keep the size of what they filter (Brock et
    al., 2021; arXiv 2101.08692, Sec. 3). No statistics of the picture are needed: so no droplets (Karras et al., 2020;
    arXiv 1912.04958, Sec. 2), and tiles of a picture fit each other. `standardise` projects the filters after every
    update (as in arXiv 2312.02696, Sec. 2.3), so the convolution itself stays a plain one.
    """

    def __init__(self, conv: nn.Module, gain: float = 1.0) -> None:
        super().__init__()
        assert isinstance(conv, nn.Conv2d)
        self.gain = nn.Parameter(torch.full((conv.out_channels,), gain))
        self.conv = [conv]  # in a list, as it is no part of this module

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return x * self.gain.to(x.dtype)[:, None, None]

    @torch.no_grad()
    def project(self) -> None:
        """Bring the filters to zero mean and their norm."""
        weight = self.conv[0].weight
        if weight.is_meta:  # there is nothing to compute, and it would import torch's compiler
            return
        weight -= weight.mean((1, 2, 3), keepdim=True)
        weight *= 1.7 / (weight.square().sum((1, 2, 3), keepdim=True).sqrt() + 1e-8)


def standardise(net: nn.Module) -> None:
    """Project the filters that are to be kept standardised; to be called after every update."""
    for module in net.modules():
        if isinstance(module, StandardisedWeights):
            module.project()


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "instance": InstanceNorm,
    "instance_affine": partial(InstanceNorm, affine=True),
    "batch": BatchNorm,
    "none": nn.Identity,
}


def make_norm(kind: ConvNorm, channels: int, conv: nn.Module, gain: float = 1.0) -> nn.Module:
    """Return what normalises the `channels` that a convolution leads to; `gain` is that of standardised weights."""
    return StandardisedWeights(conv, gain) if kind == "standardised" else NORMS[kind](channels)


def set_inference(net: nn.Module, mode: Inference) -> None:
    """Put a network in its inference form: "running" is the usual evaluation mode.

    "image" normalises each image by its own statistics where batch normalisation would use running ones; "original"
    does so and leaves dropout on, as the original pix2pix tests.
    """
    net.eval()
    for module in net.modules():
        if isinstance(module, BatchNorm):
            module.inference = "running" if mode == "running" else "image"
        elif isinstance(module, nn.Dropout):
            module.train(mode == "original")


def init_weights(net: nn.Module, scheme: Scheme, gain: float) -> None:
    """Draw first weights as the original implementations do.

    Convolutions and linear layers by `scheme`, their biases 0, batch normalisation's scales N(1, gain), shifts 0.
    `gain` is the standard deviation of "normal", a factor of "xavier" and "orthogonal", and nothing to "kaiming".
    """
    if any(parameter.is_meta for parameter in net.parameters()):
        return  # nothing is there to be drawn, and torch would import its compiler to find that out
    schemes: dict[Scheme, Callable[..., Tensor]] = {
        "normal": partial(nn.init.normal_, std=gain),
        "xavier": partial(nn.init.xavier_normal_, gain=gain),
        "kaiming": nn.init.kaiming_normal_,  # fan in and ReLU's gain
        "orthogonal": partial(nn.init.orthogonal_, gain=gain),
    }
    draw = schemes[scheme]
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            draw(learned_weight(module))
        elif isinstance(module, BatchNorm):
            nn.init.normal_(module.weight, 1.0, gain)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def learned_weight(module: nn.Module) -> Tensor:
    """Return the weight that is learned; with a spectral norm it lies behind the one in use."""
    name = "parametrizations.weight.original" if is_parametrized(module, "weight") else "weight"
    return module.get_parameter(name)


def spectral(conv: nn.Conv2d) -> nn.Module:
    """Return a convolution whose weight has a spectral norm of 1 (Miyato et al., 2018)."""
    if conv.weight.is_meta:
        return conv  # only shapes are asked for, and torch would import its compiler to draw the first vectors
    return spectral_norm(conv)
