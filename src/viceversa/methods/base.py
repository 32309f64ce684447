"""What a training method is: a generator function that yields its updates, and two tables of networks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias, TypeVar

import torch
from torch import Tensor, nn

from viceversa import registry
from viceversa.config import Config, ConfigError, Direction
from viceversa.data.loader import Batch as Batch
from viceversa.losses import OBJECTIVES, Objective
from viceversa.nets import DISCRIMINATORS, GENERATORS, refuse_small
from viceversa.nets.base import Discriminator, Generator
from viceversa.nets.layers import init_weights, standardise
from viceversa.nets.patchgan import Augment
from viceversa.nets.resnet import Projector

Translators: TypeAlias = dict[Direction, Generator]
Net = TypeVar("Net", Generator, Discriminator)


class Update:
    """One "update" line of a paper's algorithm box: minimise the sum of `losses` over the networks of `group`."""

    def __init__(self, group: str, **losses: Tensor) -> None:
        self.group = group
        self.losses = losses

    @property
    def total(self) -> Tensor:
        """The scalar to minimise."""
        return torch.stack(list(self.losses.values())).sum()


class Networks:
    """Builds a method's networks as the configuration describes them: `make.generator("A", "B")`."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.channels = {"A": config.data.channels_a, "B": config.data.channels_b}

    def generator(self, source: str, target: str, kind: type[Generator] = Generator) -> Generator:
        """Return a new generator from domain `source` to domain `target`; ConfigError if it is not of that kind."""
        size, channels = self.config.data.crop, (self.channels[source], self.channels[target])
        net = registry.create(GENERATORS, "generator", self.config.generator, *channels, size=size)
        if not isinstance(net, kind):
            suited = ", ".join(name for name, cls in GENERATORS.items() if issubclass(cls, kind))
            raise ConfigError(
                f"generator.name: {type(net).__name__} is not what this method needs; use one of {suited}"
            )
        if size % net.multiple:
            name = self.config.generator["name"]
            depth = (size & -size).bit_length() - 1  # how often the crop can be halved
            other = f", or generator.depth={depth}" if "depth" in self.config.generator and depth > 1 else ""
            raise ConfigError(f"data.crop={size}: the {name} generator needs a multiple of {net.multiple}{other}")
        return self._initialised(net, channels[0])

    def discriminator(self, *domains: str) -> Discriminator:
        """Return a new discriminator of images of the domains, concatenated; ConfigError if it cannot judge them."""
        channels = [self.channels[domain] for domain in domains]
        spec, size = self.config.discriminator, self.config.data.crop
        net = registry.create(DISCRIMINATORS, "discriminator", spec, sum(channels), size=size, channels=channels)
        name = self.config.objective["name"]
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d) and not registry.find(OBJECTIVES, "objective", name).batch_norm:
                raise ConfigError(f"objective={name}: does not go with batch norm; set discriminator.norm=instance")
            if isinstance(module, Augment):
                module.channels = channels
        return self._initialised(net, sum(channels))

    def projector(self, net: Generator, layers: Sequence[str], width: int) -> Projector:
        """Return new projection heads for the named features of a generator; ConfigError for an unknown name."""
        try:
            heads = Projector(net.feature_channels(layers), width=width)
        except ValueError as error:
            raise ConfigError(f"method.layers: {error}; name others, or use more generator.blocks") from None
        init_weights(heads, self.config.init.scheme, self.config.init.gain)
        return heads

    def objective(self) -> Objective:
        """Return the adversarial objective."""
        return registry.create(OBJECTIVES, "objective", self.config.objective)

    def require_same_channels(self, **weights: float) -> None:
        """Raise ConfigError if A and B differ in channels and an option that weighs their distance is not 0."""
        a, b = self.channels.values()
        for name in (name for name, weight in weights.items() if weight and a != b):
            key = f"method.{name}"
            raise ConfigError(f"{key}: compares images of A and B, which have {a} and {b} channels here; set {key}=0")

    def _initialised(self, net: Net, channels: int) -> Net:
        if any(parameter.is_meta for parameter in net.parameters()):  # only the configuration is checked
            refuse_small(net, channels, size=self.config.data.crop, batch=self.config.train.batch)
        init_weights(net, self.config.init.scheme, self.config.init.gain)
        if isinstance(net, Generator):
            net.adjust_first_weights()
        standardise(net)
        return net


class Method(nn.Module):
    """Base of all methods. A subclass has three functions; it is made of `Networks` and its options."""

    needs_pairs = False
    """Whether the two images of a batch must show the same scene."""

    def step(self, batch: Batch) -> Iterator[Update]:
        """The algorithm. Yield an `Update` whenever the paper says "update".

        The trainer carries it out before it resumes this function: the code after a `yield` sees the new weights.
        `batch` holds "A" and "B", each (B, C, H, W) in [-1, 1].
        """
        raise NotImplementedError

    def groups(self) -> dict[str, list[nn.Module]]:
        """The networks behind each group name; each group has its own optimiser."""
        raise NotImplementedError

    def translators(self) -> Translators:
        """The networks to keep after training, by direction."""
        raise NotImplementedError


class ImagePool(nn.Module):
    """A memory of past translations, so that D does not only see the newest ones (Shrivastava et al., 2017).

    While it fills, images pass through. Then, with probability 1/2 for each image, it takes the place of a random one
    in the pool, which is returned instead; otherwise it passes through, as in the original CycleGAN code. A size of 0
    turns the pool off. What is not finite is not kept. The images are part of the state_dict.
    """

    images: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("images", torch.empty(0))

    def forward(self, batch: Tensor) -> Tensor:
        """Take a batch (B, C, H, W), return a batch of the same shape without gradient."""
        batch = batch.detach()
        if self.size == 0:
            return batch
        return torch.stack([self._swap(image) for image in batch])

    def _swap(self, image: Tensor) -> Tensor:
        if len(self.images) < self.size:
            if not image.isfinite().all():  # this waits for a GPU, only while the pool fills
                return image
            self.images = torch.cat([self.images.to(image).view(-1, *image.shape), image[None]])
            return image
        swap, place = torch.rand(()).item() < 0.5, int(torch.randint(self.size, ()))
        if not swap:
            return image
        old = self.images[place].clone()
        self.images[place] = torch.where(image.isfinite().all(), image, old)
        return old

    def _load_from_state_dict(  # type: ignore[no-untyped-def]  # the pool's first dimension grows, torch insists on shapes
        self, state_dict, prefix, *args
    ) -> None:
        self.images = torch.empty_like(state_dict.get(prefix + "images", self.images), device=self.images.device)
        super()._load_from_state_dict(state_dict, prefix, *args)
        if self.images.numel() and self.images.dim() != 4:
            raise ValueError(f"{prefix}images: no pictures")
        self.images = self.images[: self.size].clone()  # those of several processes may be one's now


class TwoWayMethod(Method):
    """Base of CycleGAN and its relatives: G: X -> Y and F: Y -> X, where X is domain A and Y is domain B.

    D_Y judges translations into Y, D_X those into X; each also sees past translations, from a pool of its own.
    """

    def __init__(self, make: Networks, pool: int, kind: type[Generator] = Generator) -> None:
        super().__init__()
        self.G, self.F = make.generator("A", "B", kind), make.generator("B", "A", kind)
        self.D_X, self.D_Y = make.discriminator("A"), make.discriminator("B")
        self.pool_X, self.pool_Y = ImagePool(pool), ImagePool(pool)
        self.gan = make.objective()

    def groups(self) -> dict[str, list[nn.Module]]:
        """Both generators learn together, and both discriminators."""
        return {"G": [self.G, self.F], "D": [self.D_X, self.D_Y]}

    def translators(self) -> Translators:
        """Both generators."""
        return {"AtoB": self.G, "BtoA": self.F}
