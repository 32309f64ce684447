"""The anatomy of the creatures of stripes: breeds, and the bones that their measures make.

A creature is a set of bones in the plane it walks in, seen from the side, each with a thickness at both ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from viceversa.data.drawing.painting import Colour


@dataclass(frozen=True)
class Breed:
    """A build. Lengths are in trunk lengths, from hip to shoulder; thicknesses are radii."""

    leg: float
    leg_width: tuple[float, float]  # at the top, at the foot
    chest: float
    rump: float
    neck: float
    neck_width: tuple[float, float]
    rise: float  # angle of the neck above the horizon
    head: float  # length
    skull: float
    muzzle: float
    ears: tuple[float, float]  # length, width
    tail: tuple[tuple[float, float, float], ...]  # backward, up, thickness
    mane: float  # thickness, 0: none
    hoof: bool
    span: tuple[float, float]  # how far tail and nose reach from the middle of the trunk


BREEDS = {
    "pony": Breed(
        *(0.74, (0.15, 0.046), 0.26, 0.27, 0.50, (0.19, 0.11), 0.95, 0.36, 0.12, 0.078, (0.15, 0.04)),
        *(
            ((0.08, 0.05, 0.05), (0.17, -0.06, 0.06), (0.22, -0.24, 0.07), (0.22, -0.48, 0.025)),
            0.09,
            True,
            (0.95, 1.15),
        ),
    ),
    "cat": Breed(
        *(0.48, (0.15, 0.06), 0.215, 0.235, 0.24, (0.17, 0.15), 0.9, 0.13, 0.205, 0.13, (0.17, 0.085)),
        *(
            ((0.14, 0.02, 0.06), (0.27, 0.10, 0.056), (0.35, 0.26, 0.054), (0.35, 0.44, 0.052)),
            0.0,
            False,
            (1.02, 0.98),
        ),
    ),
    "saurian": Breed(
        *(0.42, (0.17, 0.078), 0.28, 0.30, 0.78, (0.18, 0.07), 1.05, 0.17, 0.105, 0.08, (0.0, 0.0)),
        *(
            ((0.18, -0.06, 0.16), (0.40, -0.16, 0.10), (0.62, -0.20, 0.06), (0.82, -0.16, 0.025)),
            0.0,
            False,
            (1.50, 1.22),
        ),
    ),
}
COAT, HAIR, HOOF = 0, 1, 2


@dataclass(frozen=True)
class Creature:
    """All there is to a picture but the stripes. Positions are fractions of the frame, y downwards."""

    breed: str
    x: float  # of the middle of the trunk
    ground: float  # y of the feet
    trunk: float  # its length
    facing: int  # -1: left, 1: right
    gait: float  # 0..1: a walking cycle
    nod: float  # -1..1: the head low or high
    plump: float  # factor on thicknesses
    coat: Colour
    hair: Colour
    place: str
    light: float  # -1: from the left, 1: from the right
    noise: int


@dataclass(frozen=True)
class Bone:
    """A stick from `start` to `end`, (x, y) with y up, of radii `thick`; `z` in front of the plane of walking."""

    start: tuple[float, float]
    end: tuple[float, float]
    thick: tuple[float, float]
    z: float = 0.0
    kind: int = COAT
    rings: float = 0.0  # stripes in a unit of length; 0: none
    phase: float = 0.0  # where they begin

    @property
    def length(self) -> float:
        """From start to end."""
        return math.dist(self.start, self.end)


def chain(points: list[tuple[float, float, float]], kind: int, rings: float, phase: float) -> list[Bone]:
    """Join points (x, y, thickness) by bones along which the stripes run on."""
    bones = []
    for (x0, y0, r0), (x1, y1, r1) in pairwise(points):
        bones.append(Bone((x0, y0), (x1, y1), (r0, r1), 0, kind, rings, phase))
        phase += rings * bones[-1].length
    return bones


def legs(c: Creature, near: bool) -> list[Bone]:
    """Two legs of one side: thigh, shank and foot, swung by the gait."""
    b, z = BREEDS[c.breed], 0.07 if near else -0.07
    top, foot = (w * c.plump for w in b.leg_width)
    bones = []
    for front in (False, True):
        turn = 2 * math.pi * (c.gait + 0.25 * front + 0.5 * near)
        swing, lift = 0.30 * math.sin(turn), 0.5 * max(0.0, math.cos(turn))
        hip = (0.40, b.leg + 0.03) if front else (-0.40, b.leg + 0.06)
        knee = (hip[0] + (0.02 if front else 0.06) + 0.46 * b.leg * math.sin(swing), 0.50 * b.leg)
        bend = swing - lift
        heel = (knee[0] - (0.0 if front else 0.07) + 0.46 * b.leg * math.sin(bend), foot + 0.14 * b.leg * lift)
        joint = 0.30 * top + 0.70 * foot
        rings = 4.5 if b.hoof else 5.5
        bones += [
            Bone(hip, knee, (top, joint), z, COAT, rings, 0.1),
            Bone(knee, heel, (joint, foot), z, COAT, rings, 0.1 + rings * math.dist(hip, knee)),
        ]
        toe = (heel[0] + 0.06, heel[1] - 0.25 * foot)
        bones.append(Bone(heel, toe, (foot, 0.85 * foot), z + 0.04 * b.hoof, HOOF if b.hoof else COAT))
    return bones


def head_of(c: Creature) -> Bone:
    """From the nape to the nose."""
    b = BREEDS[c.breed]
    rise, pitch = b.rise + 0.25 * c.nod, 0.6 if b.head > 0.3 else 0.2
    nape = (0.45 + b.neck * math.cos(rise), b.leg + 0.19 + b.neck * math.sin(rise))
    nose = (nape[0] + b.head * math.cos(pitch), nape[1] - b.head * math.sin(pitch))
    return Bone(nape, nose, (b.skull * c.plump, b.muzzle * c.plump), 0.05, COAT, 9.0, 0.3)


def trunk(c: Creature) -> list[Bone]:
    """Barrel, neck, head, ears, mane and tail."""
    b, w, head = BREEDS[c.breed], c.plump, head_of(c)
    back = b.leg + 0.12
    barrel = [(-0.42, back, b.rump * w), (0.0, back - 0.03, 0.97 * b.chest * w), (0.42, back, b.chest * w)]
    neck = Bone((0.45, back + 0.07), head.start, (b.neck_width[0] * w, b.neck_width[1] * w), 0.03, COAT, 5.0, 0.9)
    root = (-0.42 - 0.75 * b.rump * w, back + 0.35 * b.rump * w)
    tail = [(*root, b.tail[0][2]), *((root[0] - aft, root[1] + up, thick) for aft, up, thick in b.tail)]
    hair = HAIR if b.mane else COAT
    return [
        *chain(barrel, COAT, 5.0, 0.15),
        neck,
        head,
        *ears(b, head),
        *mane(b, c, head),
        *chain(tail, hair, 6.0, 0.3),
    ]


def ears(b: Breed, head: Bone) -> list[Bone]:
    """Two pointed ears, if the breed has any."""
    length, width = b.ears
    bones = []
    for lean, z in ((0.45, 0.0), (-0.45, 0.08)) if length else ():
        x, y = head.start[0] + lean * b.skull, head.start[1] + 0.72 * b.skull
        bones.append(Bone((x, y), (x + 0.4 * lean * length, y + length), (width, 0.2 * width), z))
    return bones


def mane(b: Breed, c: Creature, head: Bone) -> list[Bone]:
    """Locks along the neck, and a forelock."""
    low, high = (0.24, b.leg + 0.16 + 0.9 * b.chest * c.plump), (head.start[0] + 0.02, head.start[1] + 0.9 * b.skull)
    bones = []
    for i in range(7) if b.mane else ():
        x, y = (low[k] + i / 6 * (high[k] - low[k]) for k in (0, 1))
        bones.append(Bone((x + 0.02, y - 0.01), (x - 0.05, y - 0.09), (0.8 * b.mane, 0.45 * b.mane), 0.13, HAIR))
    return bones
