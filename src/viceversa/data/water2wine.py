"""Water into wine: the built-in pair of domains, whose true answer is known.

Domain A holds glasses of water, domain B the same glasses of red wine.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from viceversa.data.glassware import SHAPES, Array, Scene, drink, planes, profile, shadow, shine, step, trace
from viceversa.files import replacing_folder

# Wall and table, sRGB. Light and dark alike, and none as red as wine: colour must not tell the domains apart.
PALETTES = (
    ((0.90, 0.88, 0.84), (0.66, 0.50, 0.36)),
    ((0.80, 0.85, 0.88), (0.88, 0.87, 0.85)),
    ((0.72, 0.77, 0.70), (0.78, 0.68, 0.55)),
    ((0.86, 0.78, 0.62), (0.55, 0.42, 0.32)),
    ((0.46, 0.56, 0.62), (0.72, 0.68, 0.62)),
    ((0.33, 0.43, 0.41), (0.50, 0.38, 0.28)),
    ((0.16, 0.22, 0.34), (0.40, 0.29, 0.21)),
    ((0.13, 0.14, 0.16), (0.27, 0.25, 0.25)),
    ((0.19, 0.22, 0.18), (0.30, 0.22, 0.16)),
)
BACKDROPS = ("table", "sweep", "stripes", "plaster")
KINDS = tuple(product(SHAPES, PALETTES))
FAMILIES = 3  # of scenes: for trainA, for trainB, for both tests


def scene(seed: int, index: int) -> Scene:
    """Draw scene number `index` of `seed`; the same integers give the same scene.

    Kinds of glass take turns within each family: were one rarer among the wines than among the waters, a discriminator
    would take it for false whatever it holds, and it would stay half empty.
    """
    shape, (wall, table) = KINDS[(7 + 11 * (index // FAMILIES)) % len(KINDS)]
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, index))))
    height, width = float(rng.uniform(*SHAPES[shape].height)), float(rng.uniform(*SHAPES[shape].width))
    tilt = float(rng.uniform(0.14, 0.27))
    reach = width * height  # half the width of the glass in the frame
    lip = tilt * reach + 0.03  # how far foot and rim may stick out below and above, and a margin
    base = float(rng.uniform(lip + height, 1 - lip)) if 2 * lip + height < 1 else 0.5 + height / 2
    tint = [float(c) for c in rng.uniform(0.9, 1.1) * rng.uniform(0.97, 1.03, 3)]
    return Scene(
        shape=shape,
        x=float(rng.uniform(reach + 0.04, 0.96 - reach)),
        base=base,
        height=height,
        width=width,
        tilt=tilt,
        fill=float(rng.uniform(0.35, 0.85)),
        pour=float(rng.uniform(-1, 1)) if rng.random() < 0.25 else None,
        backdrop=BACKDROPS[int(rng.integers(len(BACKDROPS)))],
        horizon=base - float(rng.uniform(0.5, 1.4)) * tilt,
        wall=(wall[0] * tint[0], wall[1] * tint[1], wall[2] * tint[2]),
        table=(table[0] * tint[0], table[1] * tint[1], table[2] * tint[2]),
        light=float(rng.choice((-1, 1)) * rng.uniform(0.6, 1)),
        noise=int(rng.integers(2**31)),
    )


def render(s: Scene, domain: str, size: int) -> NDArray[np.uint8]:
    """The scene with water ("A") or wine ("B"): (size, size, 3), sRGB. Only the liquid depends on the domain."""
    n = size * (3 if size <= 96 else 2)  # samples, against jagged edges
    rng = np.random.Generator(np.random.Philox(s.noise))
    axis = ((np.arange(n) + 0.5) / n).astype(np.float32)  # in a frame of side 1
    x, y = axis[None, :], axis[:, None]  # to the right, downwards
    u, v = (x - s.x) / s.height, (s.base - y) / s.height
    outer = profile(s.shape, s.width)
    sight = trace(s, outer, u, v)
    behind = backdrop(s, n, x, y, rng)
    colour = drink(s, domain, behind * shadow(s, domain, u, v), u, sight)
    return develop(shine(s, float(behind.mean()), colour, outer, u, v, sight), size, rng)


def backdrop(s: Scene, n: int, x: Array, y: Array, rng: np.random.Generator) -> Array:
    """What stands behind the glass, (3, n, n). Fine detail runs along lines, so a glass never hides it whole."""
    soft, grain = clouds(rng, n, 4, 4), clouds(rng, n, 70, 4)
    mottle, phase = clouds(rng, n, 14, 14), rng.uniform(0, 6.3)
    shade = 1 + 0.35 * s.light * (x - 0.5) + 0.08 * soft - 0.5 * ((x - 0.5) ** 2 + (y - 0.45) ** 2)
    # A lamp on the wall: there is always some light behind the glass, for water to bend and wine to stop.
    lamp = np.exp(-(((x - s.x) / 0.42) ** 2) - ((y - s.base + 0.5 * s.height) / 0.38) ** 2)
    pool = planes(s.wall) / max(s.wall) * planes((0.18, 0.15, 0.12)) * lamp
    wall = planes(s.wall) ** 2 * shade + pool
    if s.backdrop == "sweep":  # a studio's paper sweep: the wall runs into the table
        return wall * (0.8 + 0.45 * step(y, s.horizon - 0.3, s.horizon + 0.4))
    if s.backdrop == "stripes":
        wall = wall * (1 + 0.16 * step(np.sin(40 * x + phase), -0.5, 0.5))
    if s.backdrop == "plaster":
        wall = wall * (1 + 0.10 * mottle)
    wood = (1 + 0.10 * grain + 0.05 * soft) * (0.85 + 0.4 * (y - s.horizon))
    table = (planes(s.table) ** 2 * shade + 0.3 * pool) * wood
    edge = step(y, s.horizon - 0.008, s.horizon + 0.008)
    return wall + (table - wall) * edge


def clouds(rng: np.random.Generator, n: int, rows: int, columns: int) -> Array:
    """Smooth noise, n x n, standard normal at heart: random values on a grid, joined by Gaussian weights."""
    weights = []
    for cells in (rows, columns):
        distance = np.linspace(0, cells - 1, n)[:, None] - np.arange(cells)
        bell = np.exp(-(distance**2) / 0.5).astype(np.float32)
        weights.append(bell / bell.sum(1, keepdims=True))
    return weights[0] @ rng.standard_normal((rows, columns), np.float32) @ weights[1].T


def develop(light: Array, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Turn planes of linear light (3, n, n) into a picture (size, size, 3) in sRGB, with the grain of a camera."""
    fold = light.shape[-1] // size
    image = np.sqrt(np.clip(light.reshape(3, size, fold, size, fold).mean((2, 4)), 0, 1)).transpose(1, 2, 0)
    image = image + rng.normal(0, 0.008, image.shape)
    return np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)


def make(
    out: Path, *, size: int = 64, count: int = 400, test: int = 40, seed: int = 0, overwrite: bool = False
) -> None:
    """Write trainA, trainB (`count` images each, of different scenes) and testA, testB (the same `test` scenes).

    `out` appears whole. Raises ValueError for a size below 16 or a count below 1, FileExistsError for what is in the
    way.
    """
    if size < 16 or count < 1 or test < 0:
        raise ValueError(f"size={size} count={count} test={test}: use a size of 16 or more, count >= 1, test >= 0")
    # Families are interleaved: no scene is shared, and a larger count only adds to a smaller one.
    plan = {"trainA": (count, 0), "trainB": (count, 1), "testA": (test, 2), "testB": (test, 2)}
    with replacing_folder(out, overwrite=overwrite) as folder:
        for name, (number, family) in plan.items():
            (folder / name).mkdir()
            for i in range(number):
                image = render(scene(seed, FAMILIES * i + family), name[-1], size)
                Image.fromarray(image).save(folder / name / f"{i:05d}.png")
