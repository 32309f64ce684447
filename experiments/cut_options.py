"""What do CUT's options change? Patches, detached keys, a pool, antialiasing, eNCE, attention (source 001)

python experiments/cut_options.py [--quick]

Stripes are what the doctor measures: how far the frequencies of 2 and 4 pixels stand out in translations, less how far
they do in the true answers, in nats. Change is the mean difference of translations from their inputs, of 255: how timid
CUT is.
"""

from __future__ import annotations

from pathlib import Path

import lab
import numpy as np

from viceversa.engine.symptoms import stripes

COMMON = [
    *("method.name=cut", "method.layers=[input,down1,down2,block1,block3]", "method.head_width=64"),
    *("generator.antialias=true", "generator.upsample=blur", "discriminator.antialias=true"),
    *("data.load=64", "data.crop=64", "train.batch=1", "train.length=600 steps"),
]
ARMS = {
    "as in the paper": [],
    "64 patches": ["method.patches=64"],
    "keys not detached": ["method.detach=false"],
    "pool of 50": ["method.pool=50"],
    "no antialiasing": ["generator.antialias=false", "generator.upsample=transposed", "discriminator.antialias=false"],
    "attention": ["method.query=attention"],
    "eNCE": ["method.contrast=ence"],
    "nce 0.3": ["method.nce=0.3"],
}


def measure(run: Path, before: lab.Images, after: lab.Images, truth: lab.Images) -> dict[str, float]:
    """Return the stripes, and how much is changed."""
    change = float(np.abs(lab.floats(after) - lab.floats(before)).mean()) * 127.5
    return {"stripes": stripes(lab.floats(after)) - stripes(lab.floats(truth)), "change": change}


if __name__ == "__main__":
    lab.study(__doc__, ARMS, measure, common=COMMON)
