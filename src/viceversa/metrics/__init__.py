"""Figures for images, and the table of contents: what makes each of the text in its brackets and some context."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TypeAlias

import torch

from viceversa.config import suggest
from viceversa.metrics.base import Metric
from viceversa.metrics.distribution import EXTRACTORS, FEWEST, Distribution, EfficientNetLite, Extractor, fid, kid
from viceversa.metrics.paired import ALEXNET, Lpips, Paired, l1, psnr, ssim

MakeMetric: TypeAlias = Callable[[str, Callable[[str], Extractor], int, torch.device], Metric]

METRICS: dict[str, MakeMetric] = {
    "kid": lambda inside, load, seed, device: Distribution("kid", load(inside), partial(kid, seed=seed)),
    "fid": lambda inside, load, seed, device: Distribution("fid", load(inside), fid),
    "psnr": lambda inside, load, seed, device: Paired("psnr", psnr, higher_is_better=True),
    "ssim": lambda inside, load, seed, device: Paired("ssim", ssim, higher_is_better=True),
    "lpips": lambda inside, load, seed, device: Paired("lpips[alex]", Lpips(device)),
    "l1": lambda inside, load, seed, device: Paired("l1", l1),
    "cycle": lambda inside, load, seed, device: Paired("cycle", l1, reference="input"),
}


def suited_metrics(paired: bool, way_back: bool, fewest: int) -> list[str]:
    """Return the metrics that tell something: given true answers, the distance to them, and KID; else KID, FID.

    `way_back`: there are translators both ways; `fewest`: images in the smaller domain. LPIPS if its weights are here.
    """
    sets = ["kid"] if fewest >= FEWEST["kid"] else []
    if paired:
        return [*sets, "psnr", "ssim", *["lpips"] * ALEXNET.path.is_file(), "l1", *["cycle"] * way_back]
    return [*sets, *["fid"] * (fewest >= FEWEST["fid"]), *["cycle"] * way_back]


def make_metrics(names: Sequence[str], *, seed: int = 0, device: torch.device = torch.device("cpu")) -> list[Metric]:
    """Return the metrics that names such as `kid` or `fid[inception]` stand for; `seed` is that of KID's subsets.

    Raises ValueError, with the remedy, for what is unknown, missing or damaged; OSError for weights not to be had.
    """

    @cache
    def load(name: str) -> Extractor:
        if name not in EXTRACTORS:
            raise ValueError(f"{name}: no such feature extractor; there are {', '.join(EXTRACTORS)}")
        return EXTRACTORS[name](device=device)

    found: dict[str, Metric] = {}
    for text in names:
        match = re.fullmatch(r"([a-z0-9_]+)(?:\[([^\[\]]*)\])?", text.strip())
        if not match or match[1] not in METRICS:
            raise ValueError(f"{text}: no such metric{suggest(text, METRICS)}")
        metric = METRICS[match[1]](match[2] or EfficientNetLite.name, load, seed, device)
        found[metric.name] = metric
    return list(found.values())
