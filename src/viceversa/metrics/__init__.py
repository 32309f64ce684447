"""Figures for pictures.

`METRICS` is the table of contents: what makes a metric of what stands in its brackets and a box of tools.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import torch

from viceversa.metrics.base import Metric, Picture, Value
from viceversa.metrics.distribution import Fid, Kid, TargetClass
from viceversa.metrics.features import EXTRACTORS, EfficientNetLite, Extractor
from viceversa.metrics.paired import L1, Cycle, Lpips, Psnr, Ssim, l1, psnr
from viceversa.metrics.weights import ALEXNET, at_hand

__all__ = ["EXTRACTORS", "METRICS", "Metric", "Picture", "Tools", "Value", "l1", "make", "psnr", "suited"]


class Tools:
    """What metrics are made with; an extractor that several of them use is loaded once.

    Args:
        extractor: Which network FID and KID look through, unless their brackets name one; empty: efficientnet-lite0.
        weights: A file with its weights, instead of those it comes with.
        seed: Of KID's subsets.
        device: Where networks run.
    """

    def __init__(
        self,
        extractor: str = "",
        weights: Path | None = None,
        seed: int = 0,
        device: torch.device = torch.device("cpu"),
    ) -> None:
        self.default, self.weights = extractor or EfficientNetLite.name, weights
        self.seed, self.device = seed, device
        self._loaded: dict[str, Extractor] = {}

    def extractor(self, name: str) -> Extractor:
        """Return an extractor by name, the default for an empty one; ValueError if there is none."""
        name = name or self.default
        if name not in EXTRACTORS:
            raise ValueError(f"{name}: no such feature extractor; there are {', '.join(EXTRACTORS)}")
        if name not in self._loaded:
            self._loaded[name] = EXTRACTORS[name](self.weights if name == self.default else None, self.device)
        return self._loaded[name]


Maker: TypeAlias = Callable[[str, Tools], Metric]

METRICS: dict[str, Maker] = {
    "kid": lambda inside, tools: Kid(tools.extractor(inside), tools.seed),
    "fid": lambda inside, tools: Fid(tools.extractor(inside), tools.seed),
    "psnr": lambda inside, tools: Psnr(),
    "ssim": lambda inside, tools: Ssim(),
    "lpips": lambda inside, tools: Lpips(tools.device),
    "l1": lambda inside, tools: L1(),
    "cycle": lambda inside, tools: Cycle(),
    "target_class": lambda inside, tools: TargetClass(tools.extractor(""), inside),
}


def suited(paired: bool, way_back: bool, fewest: int) -> list[str]:
    """Return the metrics that tell something.

    Where true answers are known, the distance to them, and KID, which blurred pictures cannot please; elsewhere KID and
    FID. `way_back`: there are translators both ways; `fewest`: the number of pictures in the smaller world. LPIPS only
    if its weights are here.
    """
    sets = ["kid"] if fewest >= 4 else []
    if paired:
        return [*sets, "psnr", "ssim", *["lpips"] * at_hand(ALEXNET), "l1", *["cycle"] * way_back]
    return [*sets, *["fid"] * (fewest >= 2), *["cycle"] * way_back]


def make(names: Sequence[str], tools: Tools) -> list[Metric]:
    """Return the metrics that names such as `kid`, `fid[inception]` or `target_class[zebra]` stand for.

    Raises ValueError, with the remedy, for a name that is unknown, a package that is missing, weights that are damaged;
    OSError for weights that cannot be had.
    """
    found: dict[str, Metric] = {}
    for text in names:
        match = re.fullmatch(r"([a-z0-9_]+)(?:\[([^\[\]]*)\])?", text.strip())
        if not match or match[1] not in METRICS:
            close = difflib.get_close_matches(text, METRICS, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(METRICS)}"
            raise ValueError(f"{text}: no such metric; {hint}")
        metric = METRICS[match[1]](match[2] or "", tools)
        found[metric.name] = metric
    return list(found.values())
