"""What do variational generators cost in quality, and which of the four is best in equal time? (source 000)

python experiments/variational.py [--quick]

The first five arms train for about a minute of one core each: their steps follow from what a step takes. Then, for 300
steps, with the generator that the source found best: the weight of the KL divergence, and its warm-up. Diversity is
the mean difference of two translations of the same picture through codes drawn anew, in levels of 255; the code's size
in nats says whether it carries anything (0: collapsed).
"""

from __future__ import annotations

from pathlib import Path

import lab
import torch

import viceversa
from viceversa.losses.variational import kl
from viceversa.nets import VariationalGenerator

VAE = ["method.name=cyclegan-vae"]
RESNET_VAE = [*VAE, "generator.name=resnet_vae", "generator.width=12", "generator.blocks=2", "generator.norm=instance"]


def steps(count: int) -> list[str]:
    """Return the words for so many steps, half of them at the full learning rate."""
    return [f"train.length={count} steps", f"train.decay={count // 2} steps"]


ARMS = {
    "resnet": steps(1300),  # of 46 ms
    "resnet_vae": [*RESNET_VAE, *steps(1050)],  # 57 ms
    "res_vae": [*VAE, "generator.name=res_vae", "generator.width=8", "generator.norm=group", *steps(760)],  # 79 ms
    "vaegan": [*VAE, "generator.name=vaegan", "generator.width=16", *steps(1570)],  # 38 ms
    "vae1": [*VAE, "generator.name=vae1", "generator.width=16", "generator.norm=instance", *steps(1360)],  # 44 ms
    **{f"kl {weight}": [*RESNET_VAE, f"method.kl={weight}"] for weight in (0, 0.01, 0.1, 1, 10)},
    "kl 10, warm-up": [*RESNET_VAE, "method.kl=10", "method.kl_warmup=150"],
    "no drawing": [*RESNET_VAE, "method.kl=0", "method.sample=false"],
}


def measure(run: Path, before: lab.Images, after: lab.Images, truth: lab.Images) -> dict[str, float]:
    """Return the differences of translations of the same pictures through two codes, and what the codes carry."""
    net = viceversa.load_network(run / "weights" / "AtoB.safetensors")
    if not isinstance(net, VariationalGenerator):
        return {"diversity": 0.0, "nats": 0.0}
    torch.manual_seed(0)
    with torch.inference_mode():
        mean, logvar = net.encode(torch.from_numpy(lab.floats(before)).permute(0, 3, 1, 2).float())
        one, other = (net.decode(net.sample(mean, logvar)) for _ in range(2))
        nats = float(kl(mean, logvar, reduction="sum"))
    return {"diversity": 127.5 * float((one - other).abs().mean()), "nats": nats}


if __name__ == "__main__":
    lab.study(__doc__, ARMS, measure)
