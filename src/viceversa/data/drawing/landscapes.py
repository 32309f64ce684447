"""Places for creatures to stand in: sky, hills and ground, light and dark."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from viceversa.data.drawing.painting import Array, Colour, clouds, planes, step


@dataclass(frozen=True)
class Place:
    """Colours in sRGB, from top to bottom of the picture."""

    zenith: Colour
    horizon: Colour
    hills: Colour
    ground: Colour
    lamp: float  # strength of the light on what stands there
    sky_light: Colour
    orb: float  # strength of sun or moon; 0: hidden


PLACES = {
    "meadow": Place(
        *((0.48, 0.68, 0.90), (0.84, 0.91, 0.95), (0.42, 0.56, 0.46), (0.45, 0.60, 0.27), 1.0, (1.0, 1.0, 1.0), 1.0)
    ),
    "savanna": Place(
        *((0.62, 0.74, 0.84), (0.96, 0.89, 0.74), (0.66, 0.58, 0.42), (0.80, 0.67, 0.40), 1.05, (1.02, 1.0, 0.96), 1.0)
    ),
    "snow": Place(
        *((0.66, 0.75, 0.86), (0.90, 0.93, 0.96), (0.60, 0.67, 0.76), (0.92, 0.94, 0.97), 1.0, (1.0, 1.0, 1.02), 0.0)
    ),
    "dusk": Place(
        *((0.27, 0.24, 0.42), (0.93, 0.55, 0.38), (0.28, 0.21, 0.31), (0.30, 0.25, 0.24), 0.8, (1.05, 0.9, 0.9), 0.7)
    ),
    "night": Place(
        *((0.05, 0.08, 0.17), (0.16, 0.24, 0.36), (0.08, 0.12, 0.19), (0.12, 0.19, 0.19), 0.6, (0.8, 0.95, 1.15), 1.6)
    ),
    "forest": Place(
        *((0.13, 0.22, 0.17), (0.35, 0.46, 0.30), (0.10, 0.18, 0.12), (0.22, 0.27, 0.14), 0.75, (0.95, 1.0, 0.9), 0.0)
    ),
}


def landscape(name: str, feet: float, light: float, x: Array, y: Array, rng: np.random.Generator) -> Array:
    """Return linear light (3, n, n); `feet` is the y at which the creature stands, `light` the side of sun or moon."""
    place, n = PLACES[name], x.size
    soft, bank, ridge, far = clouds(rng, n, 4, 4), clouds(rng, n, 12, 5), clouds(rng, n, 1, 6), clouds(rng, n, 1, 9)
    mottle, blades = clouds(rng, n, 16, 10), clouds(rng, n, 40, 80)
    rim = feet - float(rng.uniform(0.14, 0.24))  # where ground and hills meet
    zenith, horizon, hills = (planes(colour) ** 2 for colour in (place.zenith, place.horizon, place.hills))
    sky = zenith + (horizon - zenith) * step(y, 0, rim)
    sky = sky + 0.35 * horizon * step(bank + soft, 0.7, 2.4) * step(-y, -rim, 0)
    orb = np.hypot(x - 0.5 - 0.4 * light, y - float(rng.uniform(0.10, 0.22)))
    disc = 0.7 * step(-orb, -0.045, -0.037) + 0.2 * np.exp(-orb / 0.09)
    sky = sky + place.orb * disc * np.sqrt(horizon)
    for line, height, haze in ((far, 0.10, 0.55), (ridge, 0.045, 0.15)):
        top = rim - height - 0.05 * line
        slope = hills * (1 + 0.08 * soft) * (1 - haze) + haze * horizon
        sky = sky + (slope - sky) * step(y - top, -0.004, 0.004)
    depth = np.clip((y - rim) / (1 - rim), 0, 1)
    ground = planes(place.ground) ** 2 * (0.72 + 0.4 * depth) * (1 + 0.10 * mottle + 0.12 * blades * depth)
    return sky + (ground * (1 + 0.25 * light * (x - 0.5)) - sky) * step(y, rim - 0.006, rim + 0.006)


def tufts(name: str, feet: float, light: Array, x: Array, y: Array, rng: np.random.Generator) -> Array:
    """Let blades of grass, or snow, cover the feet: the ground comes before them."""
    place, n = PLACES[name], x.size
    tips = feet + 0.012 - 0.016 * np.maximum(clouds(rng, n, 1, 90), -0.6) * step(clouds(rng, n, 1, 14), -0.4, 0.8)
    blade = planes(place.ground) ** 2 * (0.85 + 0.15 * clouds(rng, n, 12, 90))
    cover = step(y - tips, -0.008, 0.004) * step(-y, -feet - 0.07, -feet - 0.02)
    return light + (blade - light) * cover
