"""Glasses drawn by formula: the optics behind water2wine.

A glass is a radius as a function of height, seen from a little above: a point at height h and depth z (towards the
viewer) appears at v = h - tilt * z, so a circle is an ellipse and every line of sight is followed through glass and
liquid. Pictures are planes (3, n, n) of linear light, n a few times the size wanted, until they are brought to sRGB.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.floating[Any]]  # float32, which numpy's types lose sight of
Colour: TypeAlias = tuple[float, float, float]


@dataclass(frozen=True)
class Shape:
    """The outline of a glass 1 high, and how it may vary."""

    heights: tuple[float, ...]
    radii: tuple[float, ...]  # at these heights, of a glass whose widest radius is 1
    width: tuple[float, float]  # range of the widest radius, in glass heights
    height: tuple[float, float]  # range, in frames
    floor: float  # where the liquid starts
    brim: float  # where the glass would be full


SHAPES = {
    "tumbler": Shape((0, 0.02, 0.06, 1), (0.74, 0.79, 0.81, 1), (0.29, 0.37), (0.52, 0.76), 0.07, 0.96),
    "wineglass": Shape(
        (0, 0.05, 0.30, 0.345, 0.37, 0.42, 0.48, 0.56, 0.64, 0.72, 0.80, 0.90, 1),
        (0.13, 0.06, 0.055, 0.10, 0.34, 0.65, 0.85, 0.97, 1, 0.985, 0.94, 0.85, 0.75),
        *((0.27, 0.33), (0.66, 0.80), 0.375, 0.97),
    ),
    "carafe": Shape(
        (0, 0.02, 0.06, 0.16, 0.26, 0.36, 0.48, 0.60, 0.70, 0.80, 0.90, 1),
        (0.78, 0.86, 0.94, 1, 0.99, 0.93, 0.78, 0.58, 0.44, 0.40, 0.43, 0.56),
        *((0.31, 0.37), (0.52, 0.76), 0.035, 0.74),
    ),
}
FOOT = 0.62  # radius of the wine glass's foot, in widest radii
# What one glass height of liquid does to red, green and blue, exp(-absorption * length), and what it scatters back.
ABSORPTION = {"A": (0.20, 0.07, 0.05), "B": (4.0, 15.0, 12.0)}
SCATTER = {"A": (0.002, 0.005, 0.008), "B": (0.034, 0.0006, 0.003)}
# What the table loses in the cast shadow, and gains where the liquid gathers the light.
SHADOW = {"A": (0.30, 0.28, 0.27), "B": (0.32, 0.58, 0.55)}
FOCUS = {"A": (0.38, 0.40, 0.40), "B": (0.48, 0.06, 0.08)}
WALL = 0.016  # thickness of the glass, in glass heights


@dataclass(frozen=True)
class Scene:
    """All there is to a picture but the liquid. Positions are fractions of the frame, y downwards."""

    shape: str
    x: float
    base: float  # y of the middle of the foot
    height: float
    width: float  # widest radius, in glass heights
    tilt: float  # short over long axis of a circle seen from above
    fill: float
    pour: float | None  # sideways place of the stream, -1..1; None: nothing is being poured
    backdrop: str
    horizon: float  # y of the table's far edge
    wall: Colour
    table: Colour
    light: float  # -1: from the left, 1: from the right
    noise: int

    @property
    def level(self) -> float:
        """Height of the liquid's surface, in glass heights."""
        shape = SHAPES[self.shape]
        return shape.floor + self.fill * (shape.brim - shape.floor)


def profile(shape: str, width: float) -> Array:
    """Outer radius at 1024 heights from foot to rim, in glass heights."""
    heights = np.linspace(-0.04, 1.04, 1107)  # 1024, and a margin for the window that rounds the corners
    fine, window = np.interp(heights, SHAPES[shape].heights, SHAPES[shape].radii), np.hanning(84)
    return (width * np.convolve(fine, window / window.sum(), mode="valid")).astype(np.float32)


def half_chords(radius: Array, u: Array, v: Array, tilt: float) -> tuple[Array, Array]:
    """Depth at which each line of sight enters (near, > 0) and leaves (far, > 0) a body of revolution."""
    halves = []
    for side in (tilt, -tilt):
        z = np.zeros(np.broadcast_shapes(u.shape, v.shape), np.float32)
        for _ in range(4):  # fixed point: the radius depends on the height, and the height on the depth
            here = radius[np.clip((v + side * z) * 1023, 0, 1023).astype(np.int32)]
            z = np.sqrt(np.maximum(here * here - u * u, 0))
        halves.append(z)
    return halves[0], halves[1]


def path(chords: tuple[Array, Array], v: Array, tilt: float, low: float, high: float) -> Array:
    """Length of each line of sight inside the body, between two heights."""
    return np.maximum(np.minimum(chords[0], (high - v) / tilt) - np.maximum(-chords[1], (low - v) / tilt), 0)


def ring(u: Array, v: Array, level: float, radius: float, tilt: float, width: float) -> Array:
    """A soft line (0..1), about `width` thin, along the circle at height `level`."""
    w = (v - level) / tilt
    rho = np.sqrt(u * u + w * w) + np.float32(1e-4)
    slope = np.sqrt(u * u + (w / tilt) ** 2) / rho + np.float32(1e-4)  # how much a step in the picture changes rho
    slope = np.minimum(slope, 1 + 8 * np.abs(w))  # but not far from the line, at the ends of a flat ellipse
    return np.exp(-(((rho - radius) / slope / width) ** 2))


def shadow(s: Scene, domain: str, u: Array, v: Array) -> Array:
    """What the glass and its liquid do to the light on the table: a factor, (3, n, n)."""
    foot = (FOOT if s.shape == "wineglass" else 0.78) * s.width
    along, across = math.copysign(1, -s.light) * u, -v / s.tilt  # away from the light; towards the viewer
    contact = np.exp(-((np.hypot(u, across) / (1.12 * foot)) ** 4))
    along, across = along - 0.4 * abs(s.light), across + 0.35 * along
    table = step(-v, -0.5 * s.tilt, 0)
    cast = np.exp(-((along / 0.48) ** 2) - (across / (0.8 * s.width)) ** 2) * table
    focus = np.exp(-(((along + 0.06) / 0.2) ** 2) - (across / (0.25 * s.width)) ** 2) * table
    return (1 - planes(SHADOW[domain]) * cast) * (1 - 0.45 * contact) + planes(FOCUS[domain]) * focus


@dataclass(frozen=True)
class TracedScene:
    """What each line of sight meets on its way: lengths in glass heights, (n, n) each."""

    liquid: Array
    stream: Array
    gleam: Array  # 0..1: the stream's reflection of the lamp
    sides: Array  # the glass of the walls, foot and stem
    bottom: Array  # the thick glass under the liquid
    inside: Array  # 0..1: does it meet the glass at all?
    across: Array  # where it enters: -1..1 from the left to the right outline,
    front: Array  # and how high up


def trace(s: Scene, outer: Array, u: Array, v: Array) -> TracedScene:
    """Follow every line of sight through the glass."""
    tilt, level, floor = s.tilt, s.level, SHAPES[s.shape].floor
    inner = np.maximum(outer - WALL, 0)
    body, cavity = half_chords(outer, u, v, tilt), half_chords(inner, u, v, tilt)
    whole, bottom = path(body, v, tilt, 0, 1), path(body, v, tilt, 0, floor)
    sides = whole - bottom - path(cavity, v, tilt, floor, 1)
    if s.shape == "wineglass":  # what is under the bowl is stem, on a disc
        disc = half_chords(np.full(1024, FOOT * s.width, np.float32), u, v, tilt)
        sides, bottom = sides + 3 * bottom + path(disc, v, tilt, 0, 0.014), np.zeros_like(bottom)
    front = np.clip(v + tilt * body[0], 0, 1)
    across = np.clip(u / (outer[(front * 1023).astype(np.int32)] + 1e-4), -1, 1)
    liquid = path(cavity, v, tilt, floor, level)
    stream = gleam = np.zeros_like(whole)
    if s.pour is not None:
        centre = 0.4 * s.pour * float(inner[512:].min()) * (1 + 0.5 * (v - level))
        thick = (0.022 + 0.012 * (v - level)) * (1 + 0.07 * np.sin(26.0 * v + float(s.noise % 7)))
        aside, above = (u - centre) / thick, step(v - level, 0, 0.01)
        stream = 2 * thick * np.sqrt(np.maximum(1 - aside * aside, 0)) * above
        spot = (aside - 0.4 * s.light) / 0.25
        gleam = np.exp(-spot * spot) * above
        for radius, strength in ((0.07, 0.7), (0.14, 0.35)):  # ripples where it falls
            gleam = gleam + strength * ring(u - centre, v, level, radius, tilt, 0.008)
    return TracedScene(liquid, stream, gleam, np.maximum(sides, 0), bottom, step(whole, 0, 0.02), across, front)


def drink(s: Scene, domain: str, light: Array, u: Array, sight: TracedScene) -> Array:
    """The light that comes through the liquid, and the light that comes out of it."""
    edge = np.abs(sight.across) ** 6 * sight.inside
    wet = step(sight.liquid + 4 * sight.stream + 2 * sight.bottom, 0, 0.1)
    length = sight.liquid + 3 * sight.stream
    # The liquid gathers the light on the side away from the lamp, at the cost of its outline.
    glow = np.exp(-(((sight.across + 0.5 * s.light) / 0.3) ** 2))
    # The backdrop as seen through the glass: a full glass is a lens that swaps left and right.
    n = light.shape[-1]
    columns = np.clip((s.x + s.height * u * (1 - 1.7 * wet - 0.35 * edge)) * n, 0, n - 1).astype(np.int32)
    lens = np.take_along_axis(light, np.broadcast_to(columns, light.shape), axis=2)
    through = lens * np.exp(-planes(ABSORPTION[domain]) * length)
    through = through * (1 + wet * (0.4 * glow - 0.12 - 0.4 * edge))
    return through + planes(SCATTER[domain]) * (0.5 + 3.0 * glow) * (1 - np.exp(-9 * length))


def shine(s: Scene, key: float, colour: Array, outer: Array, u: Array, v: Array, sight: TracedScene) -> Array:
    """The glass itself: outlines, rim, liquid surface, the reflection of a window. `key`: mean of the backdrop."""
    # Bright field and dark field: outlines are dark on a light ground and light on a dark one.
    outline = float(np.interp(key, (0.12, 0.20), (0.30, 0.10)))
    veil = 1 - np.exp(-6 * np.clip(sight.sides - 2 * WALL, 0, 0.3) - 0.8 * sight.bottom)
    colour = colour + (outline - colour) * (0.75 * veil)
    radius = float(outer[int(s.level * 1023)]) - WALL
    surface = step(radius - np.hypot(u, (v - s.level) / s.tilt), 0, 0.02)
    meniscus = ring(u, v, s.level, radius, s.tilt, 0.008)
    colour = colour + surface * (0.03 + 0.10 * key) + (0.06 + 0.2 * key) * meniscus
    lamp = math.copysign(1, s.light)
    side = lamp * sight.across
    window = step(side, 0.46, 0.54) * step(-side, -0.80, -0.72)
    window = window * step(sight.front, 0.42, 0.50) * step(-sight.front, -0.93, -0.88)
    strip = step(side, -0.88, -0.84) * step(-side, 0.74, 0.79) * step(sight.front, 0.15, 0.4)
    colour = colour + (0.36 * window + 0.14 * strip) * step(-sight.front, -0.95, -0.8) * sight.inside
    colour = colour + (0.12 + 0.4 * key) * sight.gleam
    lit = 0.5 + 0.5 * np.clip(lamp * u / s.width, -1, 1)
    if s.shape == "wineglass":
        foot = ring(u, v, 0.007, FOOT * s.width - 0.006, s.tilt, 0.009)
        colour = colour + (outline + 0.4 * lit - colour) * foot * 0.5
    rim = ring(u, v, 1, float(outer[-1]) - WALL / 2, s.tilt, 0.011)
    return colour + (outline + 0.6 * lit - colour) * rim * 0.7


def step(x: Array, low: float, high: float) -> Array:
    """Smooth step from 0 at `low` to 1 at `high`."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def planes(colour: Colour) -> Array:
    """A colour, shaped to multiply colour planes (3, n, n)."""
    return np.asarray(colour, np.float32).reshape(3, 1, 1)
