"""A trained generator as a function from pictures to pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from viceversa.backends import Backend, TrainedGenerator, open_backend
from viceversa.config import Direction
from viceversa.data.image_data import (
    ImageData,
    Pixels,
    eight_bits,
    from_tensor,
    off_white,
    resize,
    to_pil,
    to_tensor,
    with_channels,
)
from viceversa.data.image_io import Shown, to_image_data
from viceversa.devices import layout_of
from viceversa.nets import GENERATORS, Generator, VariationalGenerator
from viceversa.nets.weights import Card, load_generator
from viceversa.paths import weights_file

SMALLEST = 32  # pixels of a side that the networks see, so that they have something to halve and to mirror


@dataclass(frozen=True)
class Fitted:
    """A picture, and what a network sees of it: a batch (1, in, H, W)."""

    picture: ImageData
    x: Tensor


class Translator:
    """Translates pictures of any size with one trained generator; the same picture always becomes the same picture.

    >>> translate = Translator.load("runs/cyclegan-horse2zebra")
    >>> translate(Image.open("horse.jpg")).save("zebra.png")
    """

    def __init__(
        self, net: Generator, card: Card, device: torch.device | str = "cpu", run: Backend | None = None
    ) -> None:
        self.net = net.to(device)
        self.card = card
        self.device = torch.device(device)
        self.run: Backend = run or open_backend("eager", TrainedGenerator(self.net, card, self.device))

    @classmethod
    def load(
        cls,
        path: Path | str,
        direction: Direction | None = None,
        *,
        raw: bool = False,
        best: bool = False,
        device: torch.device | str = "cpu",
        route: str = "eager",
    ) -> Translator:
        """Load a run's folder or a .safetensors weights file.

        Of a run with two directions, AtoB is taken unless `direction` says otherwise; `raw` takes the last weights
        instead of their moving average, `best` those that scored best in training; `route` computes in another way
        (`with_backend`). Raises FileNotFoundError or ValueError with the remedy.
        """
        net, card = load_generator(weights_file(Path(path), direction, ema=not raw, best=best))
        if direction not in (None, card.direction):
            raise ValueError(f"{path}: translates {card.direction}, not {direction}")
        translator = cls(net, card, device)
        return translator if route == "eager" else translator.with_backend(route)

    def __call__(self, image: Shown) -> Image.Image:
        """Return the translation of a PIL image, a uint8 array (H, W) or (H, W, 1, 3 or 4), or a `ImageData`."""
        return to_pil(self.picture(to_image_data(image)))

    def picture(self, picture: ImageData) -> ImageData:
        """Return the translation of a decoded picture; what is transparent stays so.

        A generator without an alpha channel sees transparent pictures on white, as in training, and the white is
        taken off again. One that makes an alpha channel decides itself what is transparent.
        """
        return self.together([self.fit(picture)])[0]

    def fit(self, picture: ImageData) -> Fitted:
        """Return a picture with what the network sees of it; ImageError if it has not the right channels."""
        return Fitted(picture, self._fitted(with_channels(picture, self.card.in_channels)))

    def together(self, fitted: Sequence[Fitted]) -> list[ImageData]:
        """Translate pictures at once whose `x` have one shape; each becomes what it would alone, up to rounding."""
        with self._repeatable():
            batch = torch.cat([one.x for one in fitted]) if len(fitted) > 1 else fitted[0].x
            results = self.run(batch.to(self.device))
            return [self._translated(one.picture, results[i : i + 1]) for i, one in enumerate(fitted)]

    def pixels(self, pixels: Pixels) -> Pixels:
        """Return pixels (H, W, out) for pixels (H, W, in), as deep as they are: uint8, or float32 in [0, 1]."""
        with self._repeatable():
            result = self.run(self._fitted(pixels).to(self.device))
            return self._cut(result, pixels.shape, unrounded=pixels.dtype != np.uint8)

    def with_backend(self, name: str, examples: Sequence[ImageData] = ()) -> Translator:
        """Return the same translator by another of `viceversa.backends.BACKENDS`; `int8` is calibrated on the examples.

        Translations go by it; masks, samples and walks are computed as ever. Raises ValueError with the remedy.
        """
        inputs = [self.fit(picture).x for picture in examples]
        run = open_backend(name, TrainedGenerator(self.net, self.card, self.device, inputs))
        return Translator(self.net, self.card, self.device, run)

    def samples(self, image: Shown, count: int, seed: int = 0) -> list[Image.Image]:
        """Return different translations of a picture, with codes drawn from the distribution that it is encoded to.

        Number n follows from the picture, `seed` and n: a larger `count` only adds to a smaller one. Raises ValueError
        if the generator is not variational.
        """
        net, picture = self._variational(), to_image_data(image)
        pixels = with_channels(picture, self.card.in_channels)
        with self._repeatable():
            mean, logvar = net.encode(self._fitted(pixels).to(self.device))
        results = []
        for number in range(1, count + 1):
            own = np.random.SeedSequence((seed, number)).generate_state(1)[0]
            with self._repeatable():
                drawn = net.decode(net.sample(mean, logvar, torch.Generator().manual_seed(int(own))))
                results.append(to_pil(self._finished(self._cut(drawn, pixels.shape), picture.alpha)))
        return results

    def interpolate(self, one: Shown, other: Shown, count: int = 8) -> list[Image.Image]:
        """Walk in equal steps from the code of one picture to that of another; the ends are their translations.

        Codes are the means of their distributions. `other` is resized to the size of `one`, and what is transparent is
        white. Raises ValueError if the generator is not variational, or for a `count` below 2.
        """
        if count < 2:
            raise ValueError(f"a walk has two ends, so it cannot have {count} pictures; ask for 2 or more")
        net, size = self._variational(), to_image_data(one).pixels.shape[:2]
        ends = [resize(with_channels(to_image_data(image), self.card.in_channels), size) for image in (one, other)]
        with self._repeatable():
            first, last = (net.encode(self._fitted(pixels).to(self.device))[0] for pixels in ends)
            walk = [net.decode(torch.lerp(first, last, n / (count - 1))) for n in range(count)]
            return [to_pil(self._finished(self._cut(picture, size), None)) for picture in walk]

    @property
    def has_mask(self) -> bool:
        """Whether the generator says where it paints."""
        side = self.net.size or SMALLEST * self.net.multiple
        with torch.inference_mode():
            return self.net.attention(torch.zeros(1, self.card.in_channels, side, side, device=self.device)) is not None

    def mask(self, picture: ImageData) -> NDArray[np.uint8]:
        """Return where the generator paints, uint8 (H, W, 1); only for generators with an attention mask."""
        pixels = with_channels(picture, self.card.in_channels)
        with self._repeatable():
            mask = self.net.attention(self._fitted(pixels).to(self.device))
            assert mask is not None
            return self._cut(mask * 2 - 1, pixels.shape)

    def _variational(self) -> VariationalGenerator:
        if isinstance(self.net, VariationalGenerator):
            return self.net
        names = ", ".join(name for name, cls in GENERATORS.items() if issubclass(cls, VariationalGenerator))
        own = self.card.generator["name"]
        raise ValueError(
            f"the generator {own} is not variational, it has no codes to draw or walk between; use {names}"
        )

    @contextmanager
    def _repeatable(self) -> Iterator[None]:
        """Fix the random numbers, so that dropout, where the checkpoint asks for it, is the same for every call."""
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.inference_mode(), torch.random.fork_rng(devices):
            torch.manual_seed(0)
            yield

    def _fitted(self, pixels: Pixels) -> Tensor:
        """Return pixels as a batch of a size that the network takes: its own if it has one, or mirrored outwards."""
        if self.net.size is not None:
            pixels = resize(pixels, (self.net.size, self.net.size))
        else:
            around = [margins(side, self.net.multiple) for side in pixels.shape[:2]]
            pixels = np.pad(pixels, (*around, (0, 0)), mode="reflect")
        return to_tensor(pixels)[None].contiguous(memory_format=layout_of(self.device))

    def _cut(self, batch: Tensor, shape: Sequence[int], unrounded: bool = False) -> Pixels:
        """Return the picture of a batch at the size (height, width, ...) it had before `_fitted`."""
        height, width = shape[:2]
        if self.net.size is not None:
            return resize(from_tensor(batch[0], unrounded), (height, width))
        top, left = (margins(side, self.net.multiple)[0] for side in (height, width))
        return from_tensor(batch[0, :, top : top + height, left : left + width], unrounded)

    def _translated(self, picture: ImageData, result: Tensor) -> ImageData:
        """Return the picture that the network made, as deep as its input was."""
        unrounded = picture.pixels.dtype != np.uint8
        return self._finished(self._cut(result, picture.pixels.shape, unrounded), picture.alpha)

    def _finished(self, result: Pixels, alpha: NDArray[np.uint8] | None) -> ImageData:
        """Return what the network made of a picture that was transparent as `alpha` says."""
        if self.card.out_channels == 4:
            return ImageData(result[:, :, :3], eight_bits(result[:, :, 3]))
        if alpha is not None and self.card.in_channels != 4:
            result = off_white(result, alpha)
        return ImageData(result, alpha, result.shape[2] == 1)


def margins(length: int, multiple: int) -> tuple[int, int]:
    """Return how many pixels to add before and after, so that the length is a multiple, and not too small."""
    missing = max(SMALLEST, length) - length
    missing += -(length + missing) % multiple
    return missing // 2, missing - missing // 2
