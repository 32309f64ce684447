"""A training method of your own, to copy and change: one generator, no way back, and coarse colours that must stay.

viceversa train cyclegan method=my_method:OneWay data.root=FOLDER      (in the folder of this file)
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from torch import nn
from torch.nn.functional import avg_pool2d, l1_loss

from viceversa.methods.base import Batch, Method, Networks, Translators, Update


class OneWay(Method):
    """A generator G: A -> B that must fool D and keep the large shapes and colours of its input.

    Args:
        content: Weight of the L1 distance between the shrunk input and its shrunk translation.
        shrink: How many times smaller they are compared.
    """

    def __init__(self, make: Networks, *, content: float = 10.0, shrink: int = 8) -> None:
        super().__init__()
        self.content, self.shrink = content, shrink
        make.require_same_channels(content=content)
        self.G, self.D = make.generator("A", "B"), make.discriminator("B")
        self.gan = make.objective()

    def step(self, batch: Batch) -> Iterator[Update]:
        """Teach D what B looks like, then G to make it."""
        x, y = batch["A"], batch["B"]
        fake = self.G(x)
        yield Update("D", gan_D=self.gan.discriminator(self.D, real=y, fake=fake))
        # Here D has learned already: the trainer carries an update out before it goes on with this function.
        distance = l1_loss(avg_pool2d(fake, self.shrink), avg_pool2d(x, self.shrink))
        yield Update("G", gan_G=self.gan.generator(self.D(fake)), content=self.content * distance)

    def groups(self) -> dict[str, list[nn.Module]]:
        """Name the networks of each update."""
        return {"G": [self.G], "D": [self.D]}

    def translators(self) -> Translators:
        """Name the networks to keep."""
        return {"AtoB": self.G}


if __name__ == "__main__":
    import viceversa
    from viceversa.data import water2wine

    folder = Path("runs/my_method")
    water2wine.make(folder / "data", size=32, count=40, test=8)
    sizes = ["data.load=36", "data.crop=32", "generator.width=8", "generator.blocks=2", "discriminator.width=8"]
    words = ["method=my_method:OneWay", f"data.root={folder / 'data'}", f"run={folder / 'run'}", *sizes]
    viceversa.train(viceversa.load_config("cyclegan", [*words, "train.length=40 steps", "train.decay=20 steps"]))
