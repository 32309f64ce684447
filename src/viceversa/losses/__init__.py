"""Losses: the table of adversarial objectives. A new one is a class in a file and a line here."""

from viceversa.losses.adversarial import LSGAN, WGANGP, Hinge, Objective, Vanilla

__all__ = ["LSGAN", "OBJECTIVES", "WGANGP", "Hinge", "Objective", "Vanilla"]

OBJECTIVES: dict[str, type[Objective]] = {
    "lsgan": LSGAN,
    "vanilla": Vanilla,
    "hinge": Hinge,
    "wgan-gp": WGANGP,
}
