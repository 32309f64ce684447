"""Translating through codes while training."""

from __future__ import annotations

from torch import Tensor

from viceversa.config import ConfigError
from viceversa.losses.variational import Code
from viceversa.nets import GENERATORS, Generator, VariationalGenerator


class Coded:
    """A variational generator during one step: it draws a code on each pass, and keeps the code's distribution.

    `sample=False` takes the mean, as a finished translator does.
    """

    def __init__(self, net: Generator, *, sample: bool) -> None:
        self.net, self.sample = variational(net), sample
        self.codes: list[Code] = []

    def __call__(self, picture: Tensor) -> Tensor:
        """Translate (B, in, H, W) to (B, out, H, W)."""
        mean, logvar = self.net.encode(picture)
        self.codes.append((mean, logvar))
        return self.net.decode(self.net.sample(mean, logvar) if self.sample else mean)


def variational(net: Generator) -> VariationalGenerator:
    """Return the generator; raise ConfigError, with the names of those that are, if it is not variational."""
    if isinstance(net, VariationalGenerator):
        return net
    names = ", ".join(name for name, cls in GENERATORS.items() if issubclass(cls, VariationalGenerator))
    raise ConfigError(
        f"generator.name: cyclegan-vae translates through codes and {type(net).__name__} has none; use one of {names}"
    )
