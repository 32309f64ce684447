"""A trained generator as a function from pictures to pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from viceversa.config import Direction
from viceversa.data.images import Picture, Pixels, from_tensor, picture_of, resize, to_tensor, with_channels
from viceversa.nets.base import Generator
from viceversa.nets.weights import Card, load_generator

SMALLEST = 32  # pixels of a side that the networks see, so that they have something to halve and to mirror


class Translator:
    """Translates pictures of any size with one trained generator; the same picture always becomes the same picture.

    >>> translate = Translator.load("runs/cyclegan-horse2zebra")
    >>> translate(Image.open("horse.jpg")).save("zebra.png")
    """

    def __init__(self, net: Generator, card: Card, device: torch.device | str = "cpu") -> None:
        self.net = net.to(device)
        self.card = card
        self.device = torch.device(device)

    @classmethod
    def load(
        cls,
        path: Path | str,
        direction: Direction | None = None,
        *,
        raw: bool = False,
        device: torch.device | str = "cpu",
    ) -> Translator:
        """Load a run's folder or a .safetensors weights file.

        Of a run with two directions, AtoB is taken unless `direction` says otherwise; `raw` takes the last weights
        instead of their moving average. Raises FileNotFoundError or ValueError with the remedy.
        """
        net, card = load_generator(weights_file(Path(path), direction, raw))
        if direction not in (None, card.direction):
            raise ValueError(f"{path}: translates {card.direction}, not {direction}")
        return cls(net, card, device)

    def __call__(self, image: Image.Image | NDArray[np.uint8]) -> Image.Image:
        """Return the translation of a PIL image or a uint8 array (H, W) or (H, W, 1, 3 or 4), in the same size."""
        result = self.picture(picture_of(image if isinstance(image, Image.Image) else as_image(image)))
        translated = as_image(result.pixels)
        if result.alpha is not None:
            translated.putalpha(as_image(result.alpha))
        return translated

    def picture(self, picture: Picture) -> Picture:
        """Return the translation of a decoded picture; what is transparent stays so.

        A generator without an alpha channel sees transparent pictures on white, as in training, and the white is
        taken off again. One that makes an alpha channel decides itself what is transparent.
        """
        result = self.pixels(with_channels(picture, self.card.in_channels))
        if self.card.out_channels == 4:
            return Picture(result[:, :, :3], result[:, :, 3])
        if picture.alpha is not None and self.card.in_channels != 4:
            result = off_white(result, picture.alpha)
        return Picture(result, picture.alpha, result.shape[2] == 1)

    def pixels(self, pixels: Pixels) -> NDArray[np.uint8]:
        """Return uint8 pixels (H, W, out) for pixels (H, W, in)."""
        return from_tensor(self._through(self.net, pixels))

    @property
    def has_mask(self) -> bool:
        """Whether the generator says where it paints."""
        side = self.net.size or SMALLEST * self.net.multiple
        with torch.inference_mode():
            return self.net.attention(torch.zeros(1, self.card.in_channels, side, side, device=self.device)) is not None

    def mask(self, picture: Picture) -> NDArray[np.uint8]:
        """Return where the generator paints, uint8 (H, W, 1); only for generators with an attention mask."""
        return from_tensor(self._through(self.net.attention, with_channels(picture, self.card.in_channels)) * 2 - 1)

    @torch.inference_mode()
    def _through(self, net: Callable[[Tensor], Tensor | None], pixels: Pixels) -> Tensor:
        """Apply `net` to pixels that are mirrored outwards to a size it accepts, and cut the result to size."""
        height, width = pixels.shape[:2]
        if self.net.size is not None:
            return self._resized(net, pixels, self.net.size)
        top, bottom = margins(height, self.net.multiple)
        left, right = margins(width, self.net.multiple)
        padded = np.pad(pixels, ((top, bottom), (left, right), (0, 0)), mode="reflect")
        return self._apply(net, padded)[:, top : top + height, left : left + width]

    def _resized(self, net: Callable[[Tensor], Tensor | None], pixels: Pixels, size: int) -> Tensor:
        """Apply a `net` that only knows one size."""
        result = from_tensor(self._apply(net, resize(pixels, (size, size))))
        height, width = pixels.shape[:2]
        return to_tensor(resize(result, (height, width)))

    def _apply(self, net: Callable[[Tensor], Tensor | None], pixels: Pixels) -> Tensor:
        """Apply `net` to pixels of a size it accepts."""
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(0)  # dropout, where the checkpoint asks for it, is the same for every call
            result = net(to_tensor(pixels)[None].to(self.device))
        assert result is not None
        return result[0]


def as_image(pixels: NDArray[np.uint8]) -> Image.Image:
    """Return uint8 pixels (H, W) or (H, W, 1, 3 or 4) as a PIL image; raise ValueError for anything else."""
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (1,), (3,), (4,)):
        kind = f"{pixels.dtype} {pixels.shape}"
        raise ValueError(f"a picture is uint8 (height, width, 1, 3 or 4), this is {kind}; scale it to 0..255")
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2:] == (1,) else pixels)


def margins(length: int, multiple: int) -> tuple[int, int]:
    """Return how many pixels to add before and after, so that the length is a multiple, and not too small."""
    missing = max(SMALLEST, length) - length
    missing += -(length + missing) % multiple
    return missing // 2, missing - missing // 2


def off_white(pixels: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Undo the blending of uint8 pixels (H, W, C) with white, so that edges show no white rim on other grounds."""
    share = np.maximum(alpha, 1)[:, :, None] / 255
    return np.rint(255 - (255.0 - pixels) / share).clip(0, 255).astype(np.uint8)


def weights_file(path: Path, direction: Direction | None = None, raw: bool = False) -> Path:
    """Return the weights file that a run's folder, or the path itself, stands for."""
    if path.is_file():
        return path
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: there is no such run or weights file")
    found = [d for d in get_args(Direction) if (path / "weights" / f"{d}.safetensors").is_file()]
    if not found:
        raise FileNotFoundError(f"{path}: has no weights yet; a run writes them with its first checkpoint")
    if direction is not None and direction not in found:
        raise ValueError(f"{path}: translates {' and '.join(found)}, not {direction}")
    return path / "weights" / f"{direction or found[0]}{'.raw' if raw else ''}.safetensors"
