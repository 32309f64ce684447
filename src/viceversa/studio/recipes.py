"""Recipes by intent, and the words of `viceversa train` that a recipe, a size and a time make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """What somebody wants, and the preset that does it. `dial`: the option most worth turning, and what it does."""

    title: str
    about: str
    preset: str
    dial: str
    words: tuple[str, ...] = ()
    pairs: bool = False

    @property
    def simple(self) -> dict[str, str]:
        """The options of the simple view, beside size and time, and what they are called there."""
        names = (
            ("generator.width", "Detail"),
            ("train.batch", "Pictures at once"),
            ("data.flip", "Mirror pictures, too"),
        )
        return {**dict(names), self.dial: "The dial of this recipe"}


RECIPES = {
    "style": Recipe(
        "Photos to a style",
        "Everything changes and the scene stays: photos to drawings, day to night.",
        *("style", "method.keep"),
    ),
    "object": Recipe(
        "Change one thing, keep the rest",
        "One thing changes wherever it is: water to wine, glasses on and off. Learns the way back, too.",
        *("object", "method.identity"),
    ),
    "pairs": Recipe(
        "Labels or sketches to photos, with pairs",
        "Every picture has its answer under the same name. The surest of the four.",
        *("pairs", "method.l1"),
        pairs=True,
    ),
    "few": Recipe(
        "Few pictures",
        "Below a hundred a side: as a style, with stronger variations of each picture.",
        *("style", "discriminator.strength"),
        words=("discriminator.strength=0.6",),
    ),
}
TIMES = ("5 minutes", "10 minutes", "20 minutes", "30 minutes", "1 hour", "2 hours", "4 hours", "8 hours", "12 hours")
SIZES = (0, 64, 96, 128, 192, 256)
"""Pixels; 0: what the time allows."""
SAMPLES = 20  # times that a training of so many steps shows samples


def length_words(time: str, steps: int) -> list[str]:
    """Return the words for a training of some time, or of some steps if there are any."""
    if not steps:
        return [f"train.budget={time}"]
    every = {"log": min(50, steps // SAMPLES), "sample": min(500, steps // SAMPLES), "save": min(500, steps // 4)}
    found = [f"train.length={steps} steps", f"train.decay={steps // 2} steps"]
    return found + [f"train.{name}_every={max(1, some)} steps" for name, some in every.items()]


def size_words(size: int) -> list[str]:
    """Return the words for pictures of a size; crops are taken from slightly larger ones."""
    return [f"data.load={size * 9 // 8}", f"data.crop={size}"] if size else []


def train_words(source: str, *words: Sequence[str], changes: Mapping[str, str], run: str) -> list[str]:
    """Return the words of a training after `viceversa`; a later value of a key takes the place of an earlier one."""
    values = dict(word.partition("=")[::2] for group in words for word in group) | dict(changes)
    return ["train", source, *(f"{key}={value}" for key, value in values.items()), f"run={run}"]
