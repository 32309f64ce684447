"""Where a run is shown besides its own folder. A new sink is one file and one line here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viceversa.config import Config
from viceversa.engine.distributed import DistInfo
from viceversa.engine.sinks.base import Sink
from viceversa.engine.sinks.feed import Feed
from viceversa.engine.sinks.mlflow import MLflow
from viceversa.engine.sinks.tensorboard import TensorBoard
from viceversa.engine.sinks.wandb import WandB

__all__ = ["SINKS", "Feed", "Sink", "feed"]

SINKS: dict[str, type[Sink]] = {"tensorboard": TensorBoard, "wandb": WandB, "mlflow": MLflow}


def feed(config: Config, shown: Mapping[str, Any], dist: DistInfo) -> Feed:
    """Return what feeds the sinks of `train.log_to`, with the configuration as they show it; rank 0 alone has any."""
    names = config.train.log_to if dist.is_main else ()
    return Feed(Path(config.run), {name: SINKS[name] for name in names}, shown)
