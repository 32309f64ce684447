"""The doctor: what goes wrong in a training, since when, how one sees it, and the remedy in terms of our keys.

It reads what a run keeps anyway, the samples and the log, so it costs next to nothing, and a finished run can be
examined as well as a running one. What it finds now stands in `doctor.jsonl`, a line each; what is cured disappears.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from viceversa import methods
from viceversa.config import Config, flat, parse_override, to_tree
from viceversa.data.grid import grid
from viceversa.engine.run_dir import FindingLine, LossLine, RunDir, read_lines, read_run, write_lines
from viceversa.engine.sample_history import Key, read_samples
from viceversa.engine.symptoms import ERRORS, PROBES, Case, ImageSet
from viceversa.files import replacing

CHANCE = {"lsgan": 0.25, "vanilla": math.log(2), "hinge": 1.0}
"""The halved loss of a discriminator that cannot tell anything, by objective."""
OPTION = re.compile(r"\b(?:method|generator|discriminator|objective|data|train)\.\w+(?:=(?:\[[^]]*\]|[\w.]+))?")
"""A key in a remedy, and its value if there is one."""
STRONG = "discriminator.augment=[color, shift, cutout] for few pictures; a smaller discriminator.width; objective.r1=1"
BLIND = "a larger discriminator.width; more discriminator.layers; objective.r1=0"
EMPTY = "a lower method.kl; a longer method.kl_warmup; method.free_bits=0.1"
"""Remedies for discriminators, and for codes."""
LINES = 5
"""Lines of the log that are averaged, so that one odd step is no finding."""


def examine(run: RunDir, config: Config, step: int) -> list[FindingLine]:
    """Return what is wrong at a step of which there are samples; since when, as far as the run's file tells."""
    since = {line["finding"]: line["since"] for line in read_lines(run.doctor, FindingLine)}
    found = [*_of_samples(run, config, step), *of_losses(_losses(run, step), config)]
    for finding in found:
        finding.step, finding.since = step, min(since.get(finding.finding, step), step)
    return found


def diagnose(run: Path) -> list[FindingLine]:
    """Examine the newest samples of a run; raise FileNotFoundError if it is no run, or has none."""
    record = read_run(run)
    if not record.sample_steps:
        raise FileNotFoundError(f"{run}: there are no samples to look at yet")
    return examine(RunDir(run), record.config, record.sample_steps[-1])


def update(run: RunDir, config: Config, step: int) -> list[FindingLine]:
    """Examine a run that goes on, write what is wrong into its file, and return what is new."""
    found = examine(run, config, step)
    write_lines(run.doctor, (finding.model_dump() for finding in found))
    return [finding for finding in found if finding.since == step]


def _of_samples(run: RunDir, config: Config, step: int) -> Iterator[FindingLine]:
    for direction, case in cases(run.samples, step).items():
        for finding in of_images(case, config) if step else ():  # an untrained network is no patient
            finding.finding = f"{finding.finding} {direction}"
            path = run.path / "doctor" / f"{finding.finding.replace(' ', '-')}.png"
            shown = {"input": _pixels(case.inputs[:3]), "translation": _pixels(case.outputs[:3])}
            with replacing(path) as temporary:
                grid(shown).save(temporary, "PNG")
            finding.picture = str(path.relative_to(run.path))
            yield finding


def _pixels(images: ImageSet) -> list[NDArray[np.uint8]]:
    return [np.rint((image + 1) * 127.5).astype(np.uint8) for image in images]


def _losses(run: RunDir, step: int) -> dict[str, float]:
    lines = [line for line in read_lines(run.log, LossLine) if line["step"] <= step][-LINES:]
    if len(lines) < LINES:
        return {}
    values = {name: [line["losses"].get(name) for line in lines] for name in lines[-1]["losses"]}
    return {name: float(np.mean(found)) for name, found in values.items() if None not in found}


def cases(samples: Path, step: int) -> dict[str, Case]:
    """Return the samples of a step by direction."""
    images = {key: np.asarray(image, np.float32) / 127.5 - 1 for key, image in read_samples(samples, step).items()}
    found: dict[str, Case] = {}
    for direction in sorted({key.direction for key in images}):
        source, target = direction.split("to")
        translated = [key.row for key in images if key[::2] == (direction, "translation")]
        rows = [row for row in translated if Key(direction, row, "input") in images]
        truth = [image for key, image in images.items() if key[::2] == (direction, "truth")]
        real = truth or [image for key, image in images.items() if key[::2] == (f"{target}to{source}", "input")]
        if rows:
            before, after = ([images[Key(direction, row, k)] for row in rows] for k in ("input", "translation"))
            found[direction] = Case(_stack(before), _stack(after), _stack(real) if real else None)
    return found


def _stack(images: list[ImageSet]) -> ImageSet:
    """Return images as one array; of another size than the first there are none, unless somebody put them there."""
    return np.stack([image for image in images if image.shape == images[0].shape])


def of_images(case: Case, config: Config) -> Iterator[FindingLine]:
    """Yield what the samples of one direction tell."""
    for probe, remedies in PROBES.items():
        if message := probe(case):
            yield _finding(probe.__name__, message, config, remedies, is_error=probe in ERRORS)


def of_losses(losses: Mapping[str, float], config: Config) -> Iterator[FindingLine]:
    """Yield what the mean losses tell: discriminators too strong or blind, codes that say nothing."""
    chance = CHANCE.get(str(config.objective["name"]))
    for name, value in losses.items():
        group = name.removeprefix("gan_").removeprefix("kl_")
        if chance and name.startswith("gan_D") and value < 0.06 * chance:
            yield _finding(f"strong {group}", f"it is hardly ever wrong (loss {value:.3f})", config, STRONG)
        elif chance and name.startswith("gan_D") and abs(value / chance - 1) < 0.002:
            yield _finding(f"blind {group}", f"it cannot tell anything (loss {value:.3f})", config, BLIND)
        elif name.startswith("kl_") and value < 1e-4 * float(config.method.get("kl", 1)):
            yield _finding(f"empty codes {group}", "the codes say nothing about the picture", config, EMPTY)


def _finding(name: str, message: str, config: Config, remedies: str, *, is_error: bool = False) -> FindingLine:
    """Return a finding with the remedies that a run can take: their options exist in it, and have other values."""
    values = flat(to_tree(methods.resolve(config)))

    def is_new(option: str) -> bool:
        key, is_set, _ = option.partition("=")
        return key in values and not (is_set and flat(parse_override(option))[key] == values[key])

    remedy = "; ".join(text for text in remedies.split("; ") if all(map(is_new, OPTION.findall(text))))
    severity: Literal["warning", "error"] = "error" if is_error else "warning"
    return FindingLine(step=0, since=0, finding=name, severity=severity, message=message, remedy=remedy)
