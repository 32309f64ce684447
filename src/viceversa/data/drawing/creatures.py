"""Creatures drawn by formula: flesh, coats and light behind stripes.

Flesh is the soft union of the bones: a bone's height above the plane is that of a round stick, and the heights are
joined by a soft maximum, which rounds the joints. Light falls on the resulting relief. Stripes run around the bones, so
they follow from the anatomy alone, and the true answer to a plain creature is a striped one of the same build. Light is
linear until the last line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from viceversa.data.drawing.anatomy import COAT, HAIR, HOOF, Bone, Creature, head_of, legs, trunk
from viceversa.data.drawing.landscapes import PLACES, landscape, tufts
from viceversa.data.drawing.painting import Array, develop, grid_of, numbers, planes, samples, step


@dataclass(frozen=True)
class Relief:
    """What the bones of one layer make: (n, n) each."""

    inside: Array  # 0..1
    height: Array  # towards the viewer
    stripe: Array  # 0..1
    kinds: tuple[Array, Array, Array]  # weights of coat, hair and hoof


def relief(bones: list[Bone], x: Array, y: Array, pixel: float) -> Relief:
    """Join the bones softly."""
    edges, heights, stripes = zip(*(stick(bone, x, y) for bone in bones), strict=True)
    edge, _ = soft_max(edges, 0.02)
    height, weights = soft_max(heights, 0.05)
    kinds = tuple(sum_of([w for w, bone in zip(weights, bones, strict=True) if bone.kind == kind]) for kind in range(3))
    _, sharp = soft_max(heights, 0.02)
    stripe = sum_of([w * s for w, s in zip(sharp, stripes, strict=True)])
    return Relief(step(edge, -pixel, pixel), height, step(stripe, -0.25, 0.25), (kinds[0], kinds[1], kinds[2]))


def stick(bone: Bone, x: Array, y: Array) -> tuple[Array, Array, Array]:
    """Return, for one bone, how far inside its outline a place is, its height there, and the wave of its stripes."""
    (x0, y0), (x1, y1), long = bone.start, bone.end, bone.length
    ax, ay = (x1 - x0) / long, (y1 - y0) / long
    along, across = (x - x0) * ax + (y - y0) * ay, (y - y0) * ax - (x - x0) * ay
    radius = bone.thick[0] + np.clip(along / long, 0, 1) * (bone.thick[1] - bone.thick[0])
    beyond = along - np.clip(along, 0, long)
    distance = np.sqrt(across * across + beyond * beyond)
    inside = radius - distance
    height = bone.z + np.where(inside > 0, np.sqrt(np.abs(radius * radius - distance * distance)), 4 * inside)
    if not bone.rings:
        return inside, height, np.full_like(inside, -1)
    # Seen from the side, a ring around a round stick is a slight curve; on the barrel it tapers towards the belly.
    side = across / radius
    wave = np.sin(2 * math.pi * (bone.rings * (along - 0.12 * radius * side * side) + bone.phase))
    return inside, height, wave - 0.75 * step(-side, 0.0, 1.0) * (ax > 0.9)


def soft_max(fields: Sequence[Array], softness: float) -> tuple[Array, list[Array]]:
    """Return the greatest of the fields, rounded where two come close, and their shares in it, which sum to 1."""
    top = reduce(np.maximum, fields)
    shares = [np.exp(np.maximum((field - top) / softness, -60)) for field in fields]
    total = sum_of(shares)
    return top + softness * np.log(total), [share / total for share in shares]


def sum_of(fields: Sequence[Array]) -> Array:
    """Return the sum of the fields, place by place; 0 for none."""
    return reduce(np.add, fields) if fields else np.zeros((1, 1), np.float32)


def coat_of(c: Creature, world: str, made: Relief) -> Array:
    """The colours of the flesh: plain in world "A"; in "B" light and dark stripes about the same colour."""
    base: Array = planes(c.coat) ** 2
    coat = base
    if world == "B":
        pale, dark = base + 0.45 * (1 - base) * base**0.3, 0.13 * base
        coat = pale + (dark - pale) * made.stripe
    hoof = planes((0.16, 0.13, 0.12)) ** 2
    return coat * made.kinds[COAT] + planes(c.hair) ** 2 * made.kinds[HAIR] + hoof * made.kinds[HOOF]


def lit(c: Creature, made: Relief, spacing: float) -> Array:
    """The light that falls on the relief: a lamp above and to one side, the sky, and less under the belly."""
    down, right = np.gradient(made.height, spacing)
    length = np.sqrt(1 + down * down + right * right)
    lamp = np.clip((-0.45 * c.light * c.facing * right + 0.62 * down + 0.64) / length, 0, 1)
    return 0.36 + 0.30 * (0.5 + 0.5 * down / length) + 0.75 * lamp


def face(c: Creature, x: Array, y: Array, pixel: float) -> tuple[Array, Array]:
    """Where eye and nostril are dark, and where the eye gleams: 0..1."""
    head, size = head_of(c), 0.034
    (x0, y0), (x1, y1), (skull, muzzle) = head.start, head.end, head.thick

    def dot(across: float, up: float, radius: float) -> Array:
        return step(radius - np.hypot(x - across, y - up), -pixel, pixel)

    ex, ey = x0 + 0.22 * (x1 - x0) + 0.35 * skull, y0 + 0.22 * (y1 - y0) + 0.30 * skull
    eye, gleam = dot(ex, ey, size), dot(ex + 0.3 * size, ey + 0.35 * size, 0.38 * size)
    return np.maximum(eye, 0.8 * dot(x1 + 0.62 * muzzle, y1 + 0.25 * muzzle, 0.016)), gleam


def shadow(c: Creature, x: Array, y: Array) -> Array:
    """What the creature leaves of the light on the ground: a factor."""
    along = x + 0.2 * c.light * c.facing
    return 1 - 0.55 * np.exp(-((along / 0.62) ** 4) - ((y + 0.01) / 0.075) ** 2)


def render(c: Creature, world: str, size: int) -> NDArray[np.uint8]:
    """The creature plain ("A") or striped ("B"): (size, size, 3), sRGB. Only its coat depends on the world."""
    if world not in ("A", "B"):
        raise ValueError(f'world must be "A" (plain) or "B" (striped), not {world!r}')
    n, rng = size * samples(size), numbers(c.noise)
    place = PLACES[c.place]
    x, y = grid_of(n)
    light = landscape(c.place, c.ground, c.light, x, y, rng)
    u, v = c.facing * (x - c.x) / c.trunk, (c.ground - y) / c.trunk
    light = light * shadow(c, u, v)
    pixel = 0.7 / n / c.trunk
    layers = (legs(c, near=False), 0.55), (trunk(c) + legs(c, near=True), 1.0)
    rows, columns = window(layers[1][0], u, v)
    part, u, v = light[:, rows, columns], u[:, columns], v[rows]
    for bones, dim in layers:
        made = relief(bones, u, v, pixel)
        flesh = coat_of(c, world, made) * lit(c, made, c.facing / n / c.trunk) * planes(place.sky_light)
        part += (dim * place.lamp * flesh - part) * made.inside
    dark, gleam = face(c, u, v, pixel)
    part += 0.8 * place.lamp * gleam - 0.95 * part * dark
    return develop(tufts(c.place, c.ground, light, x, y, rng), size, rng)


def window(bones: list[Bone], x: Array, y: Array) -> tuple[slice, slice]:
    """Return the rows and columns of the frame that the creature may reach: flesh is not computed elsewhere."""
    ends = [(*point, thick) for bone in bones for point, thick in zip((bone.start, bone.end), bone.thick, strict=True)]
    places = []
    for axis, at in ((1, y.ravel()), (0, x.ravel())):
        low, high = min(e[axis] - e[2] for e in ends) - 0.15, max(e[axis] + e[2] for e in ends) + 0.15
        inside = np.flatnonzero((at >= low) & (at <= high))
        places.append(slice(int(inside[0]), int(inside[-1]) + 1))
    return places[0], places[1]
