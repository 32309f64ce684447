"""How often does a CycleGAN exchange light and dark, and what stops it? (source 001)

python experiments/light_and_dark.py [--quick]

Glasses of water and wine stand before light and dark backgrounds alike, so a generator that turns light into dark, with
another that turns it back, satisfies the discriminators and the cycle. Counted is what the doctor calls an inversion: a
clearly negative correlation (below -0.3) of the brightness of translations with that of their inputs.
"""

from __future__ import annotations

from pathlib import Path

import lab
import numpy as np

ARMS = {
    "cycle only": [],
    "identity 0.5": ["method.identity=0.5"],
    "content 5": ["method.content=5"],
    "content 5, blurred": ["method.content=5", "method.content_blur=true"],
    "content 5, squares of 16": ["method.content=5", "method.content_pool=16"],
    "skip": ["generator.skip=true"],
}


def measure(run: Path, before: lab.Images, after: lab.Images, truth: lab.Images) -> dict[str, float]:
    """Return the correlation of brightness, and whether it is an inversion."""
    pairs = zip(lab.floats(before).mean(-1), lab.floats(after).mean(-1), strict=True)
    found = float(np.mean([np.corrcoef(x.ravel(), y.ravel())[0, 1] for x, y in pairs]))
    return {"correlation": found, "inverted": float(found < -0.3)}


if __name__ == "__main__":
    lab.study(__doc__, ARMS, measure, seeds=10)
