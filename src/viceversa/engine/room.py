"""How much room on the disk a run will take, so that one that cannot have it says so before the night."""

from __future__ import annotations

import shutil
from pathlib import Path

from torch import nn

from viceversa.config import Config
from viceversa.engine.learner import Learner
from viceversa.methods.pool import ImagePool

MOMENTS = {"adam": 2, "sgd": 0, "ngd": 0}
"""What an optimiser remembers of each weight."""
IMAGES, SHRUNK = 3, 0.7
"""Images of a sample in each direction, at most; what PNG makes of a byte of a photo."""


def warning(run: Path, needed: int) -> str:
    """Return a sentence if the disk has less room than is `needed` (bytes) beyond what the run has; else nothing."""
    missing = needed - sum(path.stat().st_size for path in run.rglob("*") if path.is_file())
    free = shutil.disk_usage(run).free
    if free > missing:
        return ""
    return (
        f"{run}: checkpoints and samples will take about {_shown(missing)} more, the disk has {_shown(free)} left; "
        "make room, or keep less: train.keep=1 train.keep_samples=20"
    )


def needed(config: Config, learner: Learner, total: int) -> int:
    """Return about how many bytes a run of `total` steps will take: checkpoints, weights files and samples."""
    train, epoch = config.train, learner.steps_per_epoch
    translators = sum(_bytes(net) for net in learner.method.translators().values())
    memory = sum(p.nbytes for parameters in learner.groups.values() for p in parameters) * MOMENTS[train.optimizer]
    checkpoint = _bytes(learner.method) + translators + memory + _pools(config, learner) * learner.dist.world_size
    kept = min(train.keep, total // train.save_every.steps(epoch)) + 2  # the newest, and the next before that goes
    crop, channels = config.data.crop, max(config.data.channels_a, config.data.channels_b)
    sample = train.samples * len(learner.method.translators()) * IMAGES * crop**2 * channels * SHRUNK
    steps = min(train.keep_samples, total // train.sample_every.steps(epoch) + 1)
    return int(checkpoint * kept + 2 * translators + sample * steps)


def _pools(config: Config, learner: Learner) -> int:
    """Return the bytes of the memories of past translations once they are full."""
    picture = 4 * config.data.crop**2 * max(config.data.channels_a, config.data.channels_b)
    return sum(module.size * picture for module in learner.method.modules() if isinstance(module, ImagePool))


def _bytes(net: nn.Module) -> int:
    return sum(tensor.nbytes for tensor in net.state_dict().values())


def _shown(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"
