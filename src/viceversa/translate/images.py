"""What is done with each image: read, compute, finish (with what is kept of the input), write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from viceversa.backends import PIXEL, draws_random_numbers
from viceversa.backends.prepare import PreparedImage
from viceversa.data.image_data import ImageData, ImageError, Pixels, eight_bits, luminance, resize, with_channels
from viceversa.data.image_io import read_image
from viceversa.data.transforms import short_side
from viceversa.devices import free_memory
from viceversa.translate import TranslateOptions
from viceversa.translate.source import read_metadata, read_source, write_translation
from viceversa.translator import Translator

Job: TypeAlias = tuple[Path, Path]  # from, to
Images: TypeAlias = Sequence[ImageData]
BATCH_PIXELS = {"cpu": 2**14, "cuda": 2**20, "mps": 2**20}
"""Of all images of a batch together, unless the user says how many: a CPU is busy with one of 128 px."""
LARGEST_BATCH = 16
LARGE = 2**24
"""Pixels from which on an image is alone in memory."""


@dataclass(frozen=True)
class Steps:
    """The steps from file to file; `masks` are by input."""

    translator: Translator
    options: TranslateOptions
    masks: Mapping[Path, Path]

    def read(self, job: Job) -> PreparedImage:
        """Return an image with what the network is given of it."""
        return self.translator.prepare(resize_short_side(read_source(job[0]), self.options.size))

    def batch_size(self, image: PreparedImage) -> int:
        """Return how many images of this one's size to compute at once."""
        fits = batch_size(self.translator, image, self.options.batch)
        return fits if self.options.one_output else min(fits, 1)

    def compute(self, batch: list[PreparedImage]) -> list[Images | ImageError]:
        """Return, for each image, itself and what `TranslateOptions.outputs` are to hold, in their order."""
        if self.options.one_output:
            results = self.translator.translate_batch(batch)
            return [y if isinstance(y, ImageError) else [x.image, y] for x, y in zip(batch, results, strict=True)]
        try:
            return [self._several(batch[0])]
        except ImageError as error:
            return [error]

    def _several(self, prepared: PreparedImage) -> Images:
        """Return an image and its samples or interpolations, or its translation, and where it was painted."""
        translator, options, image = self.translator, self.options, prepared.image
        needed = PIXEL * prepared.x.shape[2] * prepared.x.shape[3]
        if needed > (translator.memory or free_memory(translator.device)):
            whole = f"its samples, interpolations and mask are computed whole, in some {needed / 1e9:.1f} GB"
            raise ImageError(f"{whole}; make it smaller with --size")
        if self._end is not None:
            made = translator.interpolate(image, self._end, options.samples or 8)
        elif options.samples is not None:
            made = translator.samples(image, options.samples, options.seed or 0)
        else:
            made = [translator.translate(image)]
        painted = [ImageData(translator.mask(image), None, True)] if options.save_mask else []
        return [image, *made, *painted]

    @cached_property
    def _end(self) -> ImageData | None:
        return read_image(self.options.interpolate) if self.options.interpolate else None

    def write(self, job: Job, images: Images) -> int:
        """Write what was made of the first of the images, unless it exists; return how many files that were."""
        file, output = job
        original, *results = images
        made = len(results) - self.options.save_mask  # the last one is where it painted
        results[:made] = [finished(self.options, self.masks.get(file), original, result) for result in results[:made]]
        paths = self.options.outputs(output)
        todo = [number for number, path in enumerate(paths) if self.options.overwrite or not path.exists()]
        metadata = read_metadata(file)
        for number in todo:
            write_translation(paths[number], results[number], metadata)
        return len(todo)


def batch_size(translator: Translator, image: PreparedImage, wanted: int | None = None) -> int:
    """Return how many images of this one's size to compute at once, or `wanted`; 0 for one too large for company."""
    _, _, height, width = image.x.shape
    if height * width > LARGE:
        return 0
    if draws_random_numbers(translator.net):
        return 1
    return wanted or max(1, min(LARGEST_BATCH, BATCH_PIXELS.get(translator.device.type, 0) // (height * width)))


def written_suffix(translator: Translator, suffix: str) -> str:
    """Return the suffix of a translation's file, of which only some formats hold any number of channels."""
    holds = translator.card.out_channels in (1, 3, 4) or suffix.lower() in (".tif", ".tiff", ".npy")
    return suffix if holds else ".tiff"


def finished(options: TranslateOptions, mask: Path | None, original: ImageData, result: ImageData) -> ImageData:
    """Return a translation with what the options keep of the original."""
    if mask is None and options.strength == 1 and not options.match_color:
        return result
    weight: Pixels | float = options.strength
    if mask is not None:
        weight = weight * read_mask(mask, original.pixels.shape[:2], options.feather)
    return blend(original, result, weight, options.match_color)


def blend(original: ImageData, translation: ImageData, weight: Pixels | float, match_color: bool = False) -> ImageData:
    """Return `original` where `weight`, (H, W, 1) or one for all, is 0 and `translation` where it is 1.

    With `match_color` the translation only changes how bright each pixel is: its colour stays that of the original.
    """
    before = _unit(with_channels(replace(original, alpha=None), translation.pixels.shape[2]))
    after = _unit(translation.pixels)
    if match_color:
        after = before + luminance(after) - luminance(before)
    pixels = (before + weight * (after - before)).clip(0, 1)
    return replace(translation, pixels=eight_bits(pixels) if translation.pixels.dtype == np.uint8 else pixels)


def read_mask(path: Path, size: tuple[int, int], feather: int) -> NDArray[np.float32]:
    """Return a mask as weights (H, W, 1) for an image of this size: 1 where it is white, 0 where it is black.

    It falls to 0 within `feather` pixels inside its edge, so that nothing outside of it changes. Transparent is black.
    """
    image = read_image(path)
    weight = _unit(with_channels(replace(image, alpha=None), 1))
    if image.alpha is not None:
        weight = weight * _unit(image.alpha[:, :, None])
    weight = resize(weight, size)
    if feather:
        blurred = Image.fromarray(eight_bits(weight)[:, :, 0]).filter(ImageFilter.GaussianBlur(feather / 2))
        weight = np.minimum(weight, (2 * _unit(np.asarray(blurred))[:, :, None] - 1).clip(0, 1))
    return weight.astype(np.float32)


def _unit(pixels: Pixels) -> NDArray[np.float32]:
    return pixels.astype(np.float32) / np.float32(255) if pixels.dtype == np.uint8 else pixels


def resize_short_side(image: ImageData, size: int | None) -> ImageData:
    """Return the image with `size` pixels at its short side, antialiased; as it is for None."""
    if size is None:
        return image
    shape = short_side(image.pixels, size)
    if image.alpha is None:
        return replace(image, pixels=resize(image.pixels, shape))
    if image.pixels.dtype == np.uint8:  # Pillow weighs colours by how much they are seen
        small = resize(with_channels(image, 4), shape)
        return replace(image, pixels=small[:, :, :3], alpha=small[:, :, 3])
    alpha = image.alpha[:, :, None].astype(np.float32) / 255
    seen, small = resize(alpha, shape), resize(image.pixels * alpha, shape)
    colours = (small / np.maximum(seen, 1e-6)).clip(0, 1)
    return replace(image, pixels=colours, alpha=np.rint(seen[:, :, 0] * 255).astype(np.uint8))
