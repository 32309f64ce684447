"""Train from Python, on domains that draw themselves. Takes seconds, so expect no wine yet; more steps bring it.

python examples/train_in_python.py [FOLDER [STEPS]]
"""

from __future__ import annotations

import sys
from pathlib import Path

import viceversa
from viceversa.data import water2wine


def train(folder: Path, steps: int = 40) -> viceversa.RunDir:
    """Draw two small domains, train on them, and return the run; a second call continues the first."""
    water2wine.make(folder / "data", size=32, count=40, test=8)
    config = viceversa.load_config(
        "cyclegan",
        [
            f"run={folder / 'run'}",
            f"data.root={folder / 'data'}",
            "data.load=36",
            "data.crop=32",
            "generator.width=8",
            "generator.blocks=2",
            "generator.mask=true",
            "discriminator.width=8",
            f"train.length={steps} steps",
            f"train.decay={steps // 2} steps",
            "train.ema=0.9",
            "train.log_every=10 steps",
        ],
    )
    return viceversa.train(config)


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/example")
    run = train(folder, int(sys.argv[2]) if len(sys.argv) > 2 else 40)
    print(f"look into {run.samples}")
