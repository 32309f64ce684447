"""What do 50, 200 and 1000 pictures make of a training of equal length, and does augmentation help? (source 004)

python experiments/small_data.py [--quick]

Augmented are all pictures that the discriminators judge: colour, shifts, cutout (Zhao et al., 2020). Crops are whole
pictures, mirrored half of the time, in all arms.
"""

from __future__ import annotations

from pathlib import Path

import lab

AUGMENTATION = {
    "": [],
    ", D augmented": ["discriminator.augment=[color,shift,cutout]"],
}
ARMS = {f"{count} pictures{name}": words for count in (50, 200, 1000) for name, words in AUGMENTATION.items()}
COMMON = ["generator.mask=true", "method.cycle_x=5", "method.cycle_y=5", "train.length=600 steps"]


def measure(run: Path, before: lab.Images, after: lab.Images, truth: lab.Images) -> dict[str, float]:
    """Return how surely the discriminator of the wine tells translations from real pictures at the end."""
    return {"loss of D": lab.last_losses(run)["gan_D_Y"]}


if __name__ == "__main__":
    lab.study(__doc__, ARMS, measure, common=COMMON, pictures={arm: int(arm.split()[0]) for arm in ARMS})
