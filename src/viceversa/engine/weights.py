"""What a run gives away: its translators, each in a file of its own, for `viceversa translate`."""

from __future__ import annotations

from pathlib import Path

from viceversa.config import Config, Direction
from viceversa.engine.learner import Learner
from viceversa.engine.run_dir import RunDir
from viceversa.nets.weights import Card, save_generator


def save_weights(run: RunDir, learner: Learner) -> None:
    """Write each translator, averaged and raw (`weights/AtoB.safetensors`, `weights/AtoB.raw.safetensors`)."""
    networks = {"": learner.ema.translators(), ".raw": learner.method.translators()}
    for kind, translators in networks.items():
        for direction, net in translators.items():
            card = _card(learner.config, direction, learner.step, raw=bool(kind))
            save_generator(run.weights / f"{direction}{kind}.safetensors", net, card)


def save_best(run: Path, learner: Learner, direction: Direction, scores: dict[str, float]) -> None:
    """Write an averaged translator, with what it scored, to `weights/best-AtoB.safetensors` (or `best-BtoA`)."""
    card = _card(learner.config, direction, learner.step, raw=False)
    card.trained["scores"] = scores
    save_generator(run / "weights" / f"best-{direction}.safetensors", learner.ema.translators()[direction], card)


def _card(config: Config, direction: Direction, step: int, *, raw: bool) -> Card:
    source, target = direction.split("to")
    channels = {"A": config.data.channels_a, "B": config.data.channels_b}
    return Card(
        config.generator,
        channels[source],
        channels[target],
        config.data.crop,
        direction,
        config.inference,
        {"method": config.method["name"], "step": step, "ema": config.train.ema, "raw": raw},
    )
