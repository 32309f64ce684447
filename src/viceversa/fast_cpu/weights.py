"""What is made of a layer's weights before they are used, such as their form in bfloat16: once after each update."""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

Stamp = tuple[int, int, tuple[int, ...]]

_prepared: WeakKeyDictionary[nn.Module, dict[object, tuple[Stamp, Tensor]]] = WeakKeyDictionary()


def prepared(layer: nn.Conv2d | nn.ConvTranspose2d, name: object, make: Callable[[], Tensor]) -> Tensor:
    """Return what `make()` makes of a layer's weight, or has made since the weight last changed.

    torch counts changes of a tensor in place; `weight.data` has a counter of its own, so nothing may change that. No
    gradient flows through the result, which serves passes with gradients even if it was made while translating.
    """
    weight = layer.weight
    if weight.is_inference():  # counts nothing
        return make()
    known, stamp = _prepared.setdefault(layer, {}), (weight._version, weight.data_ptr(), weight.stride())
    if name not in known or known[name][0] != stamp:
        with torch.inference_mode(False), torch.no_grad():
            known[name] = stamp, make()
    return known[name][1]
