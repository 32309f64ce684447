"""Batches of the images below a folder, as several test modules draw and compare them."""

import itertools
from pathlib import Path
from typing import Any

import torch

from viceversa.config import Config, DataConfig, TrainConfig
from viceversa.data import open_loader
from viceversa.data.loader import Batch


def config_of(root: Path, batch: int = 2, **data: Any) -> Config:
    options: dict[str, Any] = {"load": 12, "crop": 7, "workers": 0, **data}
    return Config(data=DataConfig(root=str(root), **options), train=TrainConfig(batch=batch))


def draw(config: Config, count: int = 9, step: int = 0, rank: int = 0, ranks: int = 1) -> list[Batch]:
    return list(itertools.islice(open_loader(config).batches(step, rank, ranks), count))


def equal(some: list[Batch], others: list[Batch]) -> bool:
    """Whether all images are the same, bit for bit."""
    return all(
        one[domain].dtype == other[domain].dtype and torch.equal(one[domain], other[domain])
        for one, other in zip(some, others, strict=True)
        for domain in "AB"
    )
