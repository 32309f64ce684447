"""What do width and residual blocks buy, and what do they cost? (source 003's smaller generator)

python experiments/size.py [--quick]

Equal steps for all, so a larger network also gets more time; the last column says how much.
"""

from __future__ import annotations

from pathlib import Path

import lab

import viceversa

ARMS = {
    f"width {width}, {blocks} blocks": [f"generator.width={width}", f"generator.blocks={blocks}"]
    for width, blocks in ((8, 3), (16, 1), (16, 3), (16, 6), (32, 3), (32, 6))
}
COMMON = ["generator.mask=true", "method.cycle_x=5", "method.cycle_y=5"]


def measure(run: Path, before: lab.Images, after: lab.Images, truth: lab.Images) -> dict[str, float]:
    """Return thousands of parameters."""
    net = viceversa.load_network(run / "weights" / "AtoB.safetensors")
    return {"thousand parameters": sum(parameter.numel() for parameter in net.parameters()) / 1000}


if __name__ == "__main__":
    lab.study(__doc__, ARMS, measure, common=COMMON)
