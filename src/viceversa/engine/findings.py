"""What can be wrong with a training, how one sees it, and the remedy in terms of our keys. One function an ailment."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from viceversa.config import Config
from viceversa.engine import image_statistics
from viceversa.engine.image_statistics import Pictures

Severity: TypeAlias = Literal["note", "warning", "error"]
BLIND = {"lsgan": 0.25, "vanilla": math.log(2), "hinge": 1.0}
"""The halved loss of a discriminator that cannot tell anything, by objective."""


@dataclass(frozen=True)
class Finding:
    """Something that is wrong: since which step, how one sees it, and the remedy in terms of our keys."""

    finding: str
    severity: Severity
    message: str
    remedy: str
    step: int = 0
    since: int = 0
    picture: str | None = None
    """Input and output where it shows most, relative to the run."""


@dataclass(frozen=True)
class Case:
    """Samples of one direction, float (N, H, W, C) in [-1, 1]; `real` are pictures of the target world, if known."""

    inputs: Pictures
    outputs: Pictures
    real: Pictures | None

    @property
    def alike(self) -> bool:
        """Whether inputs and outputs can be compared value by value."""
        return self.inputs.shape == self.outputs.shape


def inverted(case: Case) -> Finding | None:
    """Light became dark: the correlation of brightness is clearly negative."""
    found = float(image_statistics.likeness(case.inputs, case.outputs).mean())
    if found > -0.3:
        return None
    return Finding(
        "inverted", "error", f"light and dark are exchanged (correlation {found:.2f})",
        "start again with another seed, method.identity=0.5 or method.content=5; CUT does not invert",
    )  # fmt: skip


def copied(case: Case) -> Finding | None:
    """Nothing happens: the translation is its input."""
    if not case.alike or np.abs(case.outputs - case.inputs).mean() > 0.01:
        return None
    return Finding(
        "copied", "warning", "translations equal their inputs",
        "lower method.identity or method.cycle_x and cycle_y; with generator.mask=true, method.identity=0 or no mask",
    )  # fmt: skip


def collapsed(case: Case) -> Finding | None:
    """All translations look the same."""
    varied = image_statistics.diversity(case.inputs if case.real is None else case.real)
    found = image_statistics.diversity(case.outputs)
    if len(case.outputs) < 3 or found > 0.2 * varied:
        return None
    return Finding(
        "collapsed", "error", f"all translations look alike (a {varied / max(found, 1e-9):.0f}th of the variety there)",
        "go back to an earlier checkpoint with a lower train.lr, or start again; raise method.cycle_x and cycle_y, "
        "or method.nce",
    )  # fmt: skip


def tinted(case: Case) -> Finding | None:
    """Translations have a colour cast that the target world does not have."""
    if case.real is None or case.real.shape[-1] != case.outputs.shape[-1]:
        return None
    found = image_statistics.tint(case.outputs) - image_statistics.tint(case.real)
    if np.abs(found).max() < 0.12:
        return None
    channel = int(np.abs(found).argmax())
    colour = ["red", "green", "blue"][channel] if len(found) == 3 else f"channel {channel}"
    return Finding(
        "tinted", "warning", f"translations have too {'much' if found[channel] > 0 else 'little'} {colour}",
        "train longer; method.identity=0.5 keeps colours; see that both worlds are lit alike: viceversa data check",
    )  # fmt: skip


def striped(case: Case) -> Finding | None:
    """A checkerboard or bar code lies over the translations."""
    usual = max(image_statistics.stripes(p) for p in (case.inputs, case.real) if p is not None)
    found = image_statistics.stripes(case.outputs)
    if found - usual < 1.2:
        return None
    return Finding(
        "striped", "warning", f"a pattern of 2 or 4 pixels ({math.exp(found - usual):.0f} times as strong as is usual)",
        "generator.upsample=resize, in a new run; training longer makes it weaker",
    )  # fmt: skip


def saturated(case: Case) -> Finding | None:
    """Much of the translations is pure black, white or colour."""
    usual = max(image_statistics.saturation(p) for p in (case.inputs, case.real) if p is not None)
    found = image_statistics.saturation(case.outputs)
    if found - usual < 0.3:
        return None
    return Finding(
        "saturated", "warning", f"{found:.0%} of the values lie at the end of their range, {usual:.0%} of real ones",
        "lower train.lr; if inputs are saturated too: viceversa data check",
    )  # fmt: skip


PROBES: Sequence[Callable[[Case], Finding | None]] = (inverted, copied, collapsed, tinted, striped, saturated)


def of_losses(losses: Mapping[str, float], config: Config) -> Iterator[Finding]:
    """Yield what the mean losses tell: discriminators too strong or blind, codes that say nothing."""
    blind = BLIND.get(str(config.objective["name"]))
    for name, value in losses.items():
        if blind and name.startswith("gan_D") and value < 0.06 * blind:
            yield Finding(
                f"strong {name.removeprefix('gan_')}", "warning", f"it is hardly ever wrong (loss {value:.3f})",
                "discriminator.augment=[color, shift, cutout] for few pictures; a smaller discriminator.width; "
                "objective.r1=1",
            )  # fmt: skip
        elif blind and name.startswith("gan_D") and abs(value / blind - 1) < 0.002:
            yield Finding(
                f"blind {name.removeprefix('gan_')}", "warning", f"it cannot tell anything (loss {value:.3f})",
                "a larger discriminator.width or more discriminator.layers; lower objective.r1",
            )  # fmt: skip
        elif name.startswith("kl_") and value < 1e-4 * float(config.method.get("kl", 1)):
            yield Finding(
                f"empty codes {name.removeprefix('kl_')}", "warning", "the codes say nothing about the picture",
                "a lower method.kl, a longer method.kl_warmup, or method.free_bits=0.1",
            )  # fmt: skip


def of_gradients(rms: Mapping[str, float]) -> Iterator[Finding]:
    """Yield what the root mean square of each group's gradients tells."""
    for group, value in rms.items():
        if value < 1e-9:
            yield Finding(
                f"no gradient {group}", "error", "its networks learn nothing", "look at the losses of the group"
            )
        elif value > 100:
            yield Finding(
                f"huge gradient {group}", "warning", f"{value:.0f} in the mean", "lower train.lr or objective.r1"
            )
