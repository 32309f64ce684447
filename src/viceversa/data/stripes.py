"""Stripes: the built-in pair of worlds for teaching, horse2zebra in small, whose true answer is known.

World A holds plain creatures, world B the same creatures striped.
"""

from __future__ import annotations

from pathlib import Path

from viceversa.data.drawing.anatomy import BREEDS, Creature
from viceversa.data.drawing.creatures import render
from viceversa.data.drawing.landscapes import PLACES
from viceversa.data.drawing.painting import numbers, write_worlds

# Coat and hair, sRGB. Light and dark alike, so that brightness does not tell the worlds apart.
COATS = (
    ((0.62, 0.40, 0.24), (0.22, 0.15, 0.11)),
    ((0.80, 0.68, 0.50), (0.93, 0.88, 0.78)),
    ((0.50, 0.50, 0.52), (0.26, 0.26, 0.29)),
    ((0.84, 0.82, 0.78), (0.60, 0.57, 0.54)),
    ((0.80, 0.52, 0.26), (0.95, 0.90, 0.80)),
    ((0.48, 0.58, 0.42), (0.30, 0.38, 0.28)),
    ((0.45, 0.55, 0.66), (0.25, 0.30, 0.40)),
    ((0.74, 0.50, 0.52), (0.42, 0.26, 0.30)),
)


def scene(seed: int, index: int) -> Creature:
    """Draw creature number `index` of the family `seed`; the same integers give the same creature."""
    rng = numbers(seed, index)
    breed = tuple(BREEDS)[int(rng.integers(len(BREEDS)))]
    coat, hair = COATS[int(rng.integers(len(COATS)))]
    tint = rng.uniform(0.92, 1.05) * rng.uniform(0.97, 1.03, 3)
    span, facing = BREEDS[breed].span, int(rng.choice((-1, 1)))
    trunk = float(rng.uniform(0.78, 0.93)) / max(sum(span), 2.1)
    left, right = (reach * trunk + 0.02 for reach in span[::facing])
    return Creature(
        breed=breed,
        x=float(rng.uniform(left, 1 - right)),
        ground=float(rng.uniform(0.80, 0.90)),
        trunk=trunk,
        facing=facing,
        gait=float(rng.uniform(0, 1)),
        nod=float(rng.uniform(-1, 1)),
        plump=float(rng.uniform(0.9, 1.12)),
        coat=(coat[0] * float(tint[0]), coat[1] * float(tint[1]), coat[2] * float(tint[2])),
        hair=hair,
        place=tuple(PLACES)[int(rng.integers(len(PLACES)))],
        light=float(rng.choice((-1, 1)) * rng.uniform(0.6, 1)),
        noise=int(rng.integers(2**31)),
    )


def make(out: Path, *, size: int = 64, count: int = 400, test: int = 40, seed: int = 0) -> None:
    """Write trainA, trainB (`count` images each, of different creatures) and testA, testB (the same `test` creatures).

    Raises ValueError for a size below 16 or a count below 1, FileExistsError where other files are in the way.
    """
    write_worlds(Path(out), lambda i, world: render(scene(seed, i), world, size), size=size, count=count, test=test)
