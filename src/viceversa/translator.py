"""A trained generator as a function from pictures to pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from viceversa.config import Direction
from viceversa.data.images import Picture, Pixels, from_tensor, picture_of, to_tensor, with_channels
from viceversa.nets.base import Generator
from viceversa.nets.weights import Card, load_generator


class Translator:
    """Translates pictures of any size with one trained generator.

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

    def __call__(self, image: Image.Image | Pixels) -> Image.Image:
        """Return the translation of a PIL image or a uint8 array (H, W, 1, 3 or 4), in the same size."""
        if isinstance(image, np.ndarray):
            image = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
        result = self.picture(picture_of(image))
        translated = Image.fromarray(result.pixels[..., 0] if result.pixels.shape[2] == 1 else result.pixels)
        if result.alpha is not None:
            translated.putalpha(Image.fromarray(result.alpha))
        return translated

    def picture(self, picture: Picture) -> Picture:
        """Return the translation of a decoded picture; what is transparent stays so."""
        if picture.alpha is None or self.card.in_channels == 4:
            result = self.pixels(with_channels(picture, self.card.in_channels))
            return Picture(result, None, result.shape[2] == 1)
        result = self.pixels(with_channels(picture, self.card.in_channels))  # on white, as in training ...
        return Picture(off_white(result, picture.alpha), picture.alpha, result.shape[2] == 1)  # ... and off it again

    def pixels(self, pixels: Pixels) -> Pixels:
        """Return uint8 pixels (H, W, out) for pixels (H, W, in)."""
        return from_tensor(self._through(self.net, pixels))

    @property
    def has_mask(self) -> bool:
        """Whether the generator has an attention mask."""
        return bool(self.card.generator.get("mask"))

    def mask(self, picture: Picture) -> Pixels:
        """Return where the generator paints, uint8 (H, W, 1); only for generators with an attention mask."""
        return from_tensor(self._through(self.net.attention, with_channels(picture, self.card.in_channels)) * 2 - 1)

    @torch.inference_mode()
    def _through(self, net: Callable[[Tensor], Tensor | None], pixels: Pixels) -> Tensor:
        """Apply `net` to pixels that are mirrored outwards to a size it accepts, and cut the result to size."""
        height, width = pixels.shape[:2]
        top, bottom = margins(height, self.net.multiple)
        left, right = margins(width, self.net.multiple)
        padded = np.pad(pixels, ((top, bottom), (left, right), (0, 0)), mode="reflect")
        torch.manual_seed(0)  # dropout, where the checkpoint asks for it, is the same for every call
        result = net(to_tensor(padded)[None].to(self.device))
        assert result is not None
        return result[0, :, top : top + height, left : left + width]


def margins(length: int, multiple: int) -> tuple[int, int]:
    """Return how many pixels to add before and after, so that the length is a multiple, and at least 32."""
    missing = max(32, length) - length
    missing += -(length + missing) % multiple
    return missing // 2, missing - missing // 2


def off_white(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Undo the blending of uint8 pixels (H, W, C) with white, so that edges show no white rim on other grounds."""
    share = np.maximum(alpha, 1)[:, :, None] / 255
    return np.rint(255 - (255 - pixels) / share).clip(0, 255).astype(np.uint8)


def weights_file(path: Path, direction: Direction | None, raw: bool) -> Path:
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
