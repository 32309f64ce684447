"""Instance normalisation as one node of the graph of gradients, whatever the batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from viceversa.nets.layers import InstanceNorm, normalise_each, on_cpu


class FastInstanceNorm(InstanceNorm):
    """Instance normalisation without the slices, hooks and zero fills that a batch costs otherwise."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape; H * W must be 2 or more."""
        if not on_cpu(x) or not torch.is_grad_enabled():
            return super().forward(x)
        y: Tensor = NormaliseEach.apply(x, self.weight, self.bias, self.eps)
        return y


class NormaliseEach(torch.autograd.Function):
    """Bring every channel of every image (N, C, H, W) to zero mean and unit variance, then scale and shift it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
        """Return the same shape, in the layout of x."""
        found = [
            torch.native_batch_norm(image, weight, bias, None, None, True, 0.0, eps) for image in torch.split(x, 1)
        ]
        ctx.save_for_backward(x, weight, bias, *(tensor for _, *moments in found for tensor in moments))
        ctx.eps = eps
        return torch.cat([y for y, *_ in found]) if len(found) > 1 else found[0][0]

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, weight and bias."""
        x, weight, bias, *moments = ctx.saved_tensors
        needs = ctx.needs_input_grad[:3]
        if torch.is_grad_enabled():  # create_graph=True
            inputs = [tensor for tensor, needed in zip((x, weight, bias), needs, strict=True) if needed]
            y = normalise_each(x, weight, bias, ctx.eps)
            gradients = iter(torch.autograd.grad(y, inputs, dy, create_graph=True))
            return *(next(gradients) if needed else None for needed in needs), None
        # In another layout than that of x, torch 2.14.1 computes a wrong gradient.
        dy = dy.contiguous(memory_format=torch.contiguous_format if x.is_contiguous() else torch.channels_last)
        back = torch.ops.aten.native_batch_norm_backward
        images = zip(torch.split(dy, 1), torch.split(x, 1), moments[::2], moments[1::2], strict=True)
        found = [back(d, one, weight, None, None, mean, scale, True, ctx.eps, needs) for d, one, mean, scale in images]
        if len(found) == 1:
            return *found[0], None
        dxs, dweights, dbiases = zip(*found, strict=True)
        return torch.cat(dxs), sum(dweights) if needs[1] else None, sum(dbiases) if needs[2] else None, None
