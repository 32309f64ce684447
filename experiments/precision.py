"""Ten epochs in fp32, bf16 and fp16 with gradient scaling: quality, time, skipped steps. (source 002)

python experiments/precision.py [--quick]

fp16 is for GPUs only, and its row is missing without one.
"""

from __future__ import annotations

from pathlib import Path

import lab
import torch

ARMS = {
    "fp32": ["train.precision=fp32"],
    "bf16": ["train.precision=bf16", "train.channels_last=true"],
    "fp16, scaled": ["train.precision=fp16", "train.channels_last=true"],
}
COMMON = ["train.length=10 epochs", "train.decay=5 epochs", "generator.width=32", "generator.mask=true"]


def measure(run: Path, before: lab.Images, after: lab.Images, truth: lab.Images) -> dict[str, float]:
    """Return the last cycle loss."""
    return {"cycle_X": lab.last_losses(run)["cycle_X"]}


if __name__ == "__main__":
    arms = {name: words for name, words in ARMS.items() if torch.cuda.is_available() or "fp16" not in name}
    lab.study(__doc__, arms, measure, common=COMMON)
