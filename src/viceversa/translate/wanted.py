"""What is asked for: what to make of each picture, and how to compute it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from viceversa.translate.plan import Job, refuse


@dataclass(frozen=True)
class Wanted:
    """What to make of each picture: its translation, or with `samples` or `walk_to` several, NAME.1.png and so on."""

    save_mask: bool = False
    """Also where a generator with a mask painted, as NAME.mask.png."""
    samples: int | None = None
    """Translations of each picture by a variational generator; of a walk, its steps (8)."""
    walk_to: Path | None = None
    """Walk from the picture's code to the code of this one."""
    seed: int | None = None
    """Another seed (than 0) draws other samples."""
    size: int | None = None
    """Bring the short side of pictures to so many pixels first."""

    def files(self, output: Path) -> list[Path]:
        """Return what is written for a picture whose translation would go to `output`."""
        count = self.samples or (8 if self.walk_to else 0)
        names = [f"{output.stem}.{number}.png" for number in range(1, count + 1)] or [output.name]
        return [output.with_name(name) for name in names + [f"{output.stem}.mask.png"] * self.save_mask]

    @property
    def plain(self) -> bool:
        """Whether a picture's translation is all that is wanted of it."""
        return not (self.save_mask or self.samples or self.walk_to)


@dataclass(frozen=True)
class How:
    """How to compute it."""

    route: str = "eager"
    """One of `viceversa.backends.BACKENDS`, or `auto`: the fastest that is exact enough."""
    calibrate: Path | None = None
    """Pictures that the route `int8` is calibrated on; None: those to be translated."""
    batch: int | None = None
    """Pictures of one size computed at once; None: as many as keep the device busy."""


def check(wanted: Wanted, how: How, jobs: list[Job]) -> None:
    """Raise ValueError, with the remedy, for what does not go together."""
    walks = wanted.walk_to is not None
    refuse(walks and len(jobs) > 1, f"{wanted.walk_to}: a walk to it starts from one picture, not from {len(jobs)}")
    refuse(walks and wanted.samples == 1, "a walk has two ends, so --samples must be 2 or more")
    draws = wanted.samples is not None and not walks
    refuse(wanted.seed is not None and not draws, "--seed goes with --samples; nothing else is drawn")
    coded = walks or wanted.samples is not None
    refuse(coded and how.route != "eager", "samples and walks are computed by route eager; leave --route away")
    refuse(how.calibrate is not None and how.route != "int8", "--calibrate goes with --route int8")
    path, times = Counter(path for _, output in jobs for path in wanted.files(output)).most_common(1)[0]
    refuse(times > 1, f"{path}: would be written for several pictures; rename one of them")
