"""The doctor: what goes wrong in a training, since when, and what to do about it.

It reads what a run keeps anyway, the samples and the log, so it costs next to nothing, and a finished run can be
examined as well as a running one. What it finds now stands in `doctor.jsonl`, a line each; what is cured disappears.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from viceversa.config import Config, load_config
from viceversa.data.grid import grid
from viceversa.engine.findings import Case, Diagnosis, ImageSet, of_gradients, of_images, of_losses
from viceversa.engine.run_dir import FindingLine, LossLine, read_lines
from viceversa.engine.sample_history import Kind, read_samples, sample_steps
from viceversa.files import replacing

NAME = "doctor.jsonl"
LINES = 5
"""Lines of the log that are averaged, so that one odd step is no finding."""


class Doctor:
    """Examines a run step by step, in order; remembers since when something has been wrong."""

    def __init__(self, run: Path, config: Config) -> None:
        self.run, self.config = run, config
        self.found: dict[str, Diagnosis] = {}

    def recall(self) -> None:
        """Take over what stands in the run's file; whatever cannot be read there is forgotten."""
        for line in read_lines(self.run / NAME, FindingLine):
            finding = Diagnosis(**{f.name: line[f.name] for f in fields(Diagnosis) if f.name in line})
            self.found[finding.finding] = finding

    def examine(self, step: int, gradients: Mapping[str, float] | None = None) -> list[Diagnosis]:
        """Return what is wrong at a step of which there are samples; what was so before keeps its `since`."""
        known, self.found = self.found, {}
        for finding in [*self._of_pictures(step), *of_losses(self._losses(step), self.config)]:
            self._note(finding, known, step)
        for finding in of_gradients(gradients or {}):
            self._note(finding, known, step)
        return list(self.found.values())

    def write(self) -> None:
        """Write what was found last into the run."""
        with replacing(self.run / NAME) as temporary:
            temporary.write_text("".join(json.dumps(asdict(f)) + "\n" for f in self.found.values()), "utf-8")

    def _note(self, finding: Diagnosis, known: Mapping[str, Diagnosis], step: int) -> None:
        before = known.get(finding.finding)
        since = before.since if before and before.since <= step else step
        self.found[finding.finding] = replace(finding, step=step, since=since)

    def _of_pictures(self, step: int) -> Iterator[Diagnosis]:
        for direction, case in cases(self.run / "samples", step).items():
            for finding in of_images(case) if step else ():  # an untrained network is no patient
                name = f"{finding.finding} {direction}"
                yield replace(finding, finding=name, picture=self._picture(name, case))

    def _picture(self, name: str, case: Case) -> str:
        """Write inputs above outputs, and return where, relative to the run."""
        shown = {"input": case.inputs, "translation": case.outputs}
        path = self.run / "doctor" / f"{name.replace(' ', '-')}.png"
        path.parent.mkdir(exist_ok=True)
        with replacing(path) as temporary:
            grid({label: [_eight_bits(p) for p in rows[:3]] for label, rows in shown.items()}).save(temporary, "PNG")
        return str(path.relative_to(self.run))

    def _losses(self, step: int) -> dict[str, float]:
        lines = [line for line in read_lines(self.run / "log.jsonl", LossLine) if line["step"] <= step][-LINES:]
        if len(lines) < LINES:
            return {}
        values = {name: [line["losses"].get(name) for line in lines] for name in lines[-1]["losses"]}
        return {name: float(np.mean(found)) for name, found in values.items() if None not in found}


def diagnose(run: Path) -> list[Diagnosis]:
    """Examine all that a run has kept, from its first samples to its last; raise FileNotFoundError if it is no run."""
    if not (run / "config.yaml").is_file():
        raise FileNotFoundError(f"{run}: not a run, it has no config.yaml")
    doctor = Doctor(run, load_config(run))
    steps = sample_steps(run / "samples")
    if not steps:
        raise FileNotFoundError(f"{run}: there are no samples to look at yet")
    return [doctor.examine(step) for step in steps][-1]


def cases(samples: Path, step: int) -> dict[str, Case]:
    """Return the samples of a step by direction."""
    kept: dict[tuple[str, Kind], dict[int, ImageSet]] = {}
    for key, image in read_samples(samples, step).items():
        kept.setdefault((key.direction, key.kind), {})[key.row] = np.asarray(image, np.float32) / 127.5 - 1
    found = {}
    for direction in sorted({direction for direction, _ in kept}):
        inputs, outputs = kept.get((direction, "input"), {}), kept.get((direction, "translation"), {})
        source, target = direction.split("to")
        real = kept.get((direction, "truth")) or kept.get((f"{target}to{source}", "input"))
        rows = sorted(inputs.keys() & outputs.keys())
        if rows:
            before, after = (_stack([pictures[row] for row in rows]) for pictures in (inputs, outputs))
            found[direction] = Case(before, after, _stack(list(real.values())) if real else None)
    return found


def _stack(pictures: list[ImageSet]) -> ImageSet:
    """Return pictures as one array; of another size than the first there are none, unless somebody put them there."""
    return np.stack([picture for picture in pictures if picture.shape == pictures[0].shape])


def _eight_bits(picture: ImageSet) -> NDArray[np.uint8]:
    return np.asarray(np.rint((picture + 1) * 127.5), np.uint8)
