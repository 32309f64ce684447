"""One look at an image: all that the checks need to know of it, in a kilobyte; runs in worker processes."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile

from viceversa.config import DataConfig
from viceversa.data.datasets import FileSample, Sample, open_each
from viceversa.data.image_data import ImageData, ImageError, Pixels, changes_colour, luminance
from viceversa.data.image_io import FORMATS, header_orientation, open_pil, upright_size
from viceversa.data.transforms import converted

THUMB = 16  # side of the small image by which copies are compared
EDGES = 128  # side of the image whose outlines are compared with the partner's
BORDER = 8  # a border is this part of the smaller image's 64 pixels wide
HIGHEST_CLASS, IGNORED = 63, 255  # of the indices in label maps; the second marks what counts for nothing
FEW_CLASSES, EVEN = 8, 0.5  # more classes than this lie in areas: so many neighbours in a row are equal

Gray: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Sight:
    """What the pixels tell, as the networks would get them. Values are 0 to 255."""

    digest: bytes
    """Of the decoded pixels: equal for equal images, whatever their files."""
    dhash: int
    """64 bits: does it get brighter to the right? Hardly changes when an image is resized or saved again."""
    thumb: bytes
    """(16, 16, 3), small enough to keep for all images."""
    outlines: bytes
    """(16, 16), where the edges are."""
    brightness: float
    contrast: float
    """Standard deviation over the pixels, of the channel that varies most."""
    border: float
    """Brightness of the outer eighth: the background, mostly."""
    colour: tuple[float, float, float]
    top: int = 0
    """The greatest number, of an image of 16-bit integers."""


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of one sample. Of a broken one that is its `error`; after a quick check there is no `sight`."""

    name: str
    error: str | None = None
    size: tuple[int, int] | None = None
    """Width and height, upright, and of the half that is meant."""
    mode: str = ""
    format: str = ""
    traits: tuple[str, ...] = ()
    """What is special: animated, cmyk, misnamed, profile, transparent, turned; of the pixels: indices, stretched."""
    sight: Sight | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """How well the outlines of a pair agree, and by which part of the side they seem shifted."""

    prominence: float
    """By how many standard deviations they agree better in place than shifted anywhere else."""
    shift: tuple[float, float]
    """Right and down, of B against A; (0, 0) if they lie where they should."""


@dataclass(frozen=True)
class CheckUnit:
    """What is decoded together: one sample, or a pair; `domains` is "A", "B" or "AB"."""

    samples: tuple[Sample, ...]
    domains: str
    data: DataConfig
    quick: bool


def look_at(unit: CheckUnit) -> tuple[list[Look], Match | None]:
    """Look at the samples of a unit, as training will see them; a quick look reads headers only."""
    looks = [_header(sample) for sample in unit.samples]
    if unit.quick:  # what has no header is opened to learn why
        return [
            look if look.size else _opened(look, sample) for look, sample in zip(looks, unit.samples, strict=True)
        ], None
    seen: list[Pixels] = []
    for i, (sample, domain, image) in enumerate(zip(unit.samples, unit.domains, open_each(unit.samples), strict=True)):
        pixels = image if isinstance(image, ImageError) else converted(image, sample, domain, unit.data)
        if isinstance(image, ImageError) or isinstance(pixels, ImageError):
            looks[i] = Look(looks[i].name, str(pixels))
            continue
        traits = [*looks[i].traits, *["indices"] * is_label_map(image), *["stretched"] * image.stretched]
        size, sight = (pixels.shape[1], pixels.shape[0]), sight_of(pixels, largest(image))
        looks[i] = replace(looks[i], size=size, traits=tuple(traits), sight=sight)
        seen.append(pixels)
    return looks, match(*seen) if len(seen) == 2 else None


def _opened(look: Look, sample: Sample) -> Look:
    try:
        pixels = sample.open().pixels
    except ImageError as error:
        return replace(look, error=str(error))
    return replace(look, size=(pixels.shape[1], pixels.shape[0]))


def _header(sample: Sample) -> Look:
    """Look at the header of a sample that is a file; of others nothing is known."""
    look = Look(str(sample))
    if not isinstance(sample, FileSample):
        return look
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with open_pil(sample.path, sample.file) as image:
                width, height = upright_size(image)
                width = width if sample.half is None else width // 2
                format = "JPEG" if image.format == "MPO" else image.format or ""
                return replace(
                    look, size=(width, height), mode=image.mode, format=format, traits=_traits(sample, image)
                )
    except Exception:  # whatever is wrong with it, opening the sample says so
        return look


def _traits(sample: FileSample, image: ImageFile) -> tuple[str, ...]:
    photo = image.format == "MPO"  # a camera's JPEG with a preview or a depth map behind it
    found = {
        "animated": getattr(image, "n_frames", 1) > 1 and not photo,
        "cmyk": image.mode == "CMYK",
        "misnamed": FORMATS.get(sample.path.suffix.lower()) != ("JPEG" if photo else image.format),
        "profile": changes_colour(image),
        "transparent": image.has_transparency_data,
        "turned": header_orientation(image) in range(2, 9),
    }
    return tuple(trait for trait, there in found.items() if there)


def largest(image: ImageData) -> int:
    """Return the greatest number of an image of 16-bit integers, 0 of any other."""
    return round(float(image.pixels.max()) * 65535) if image.depth == 16 else 0


def is_label_map(image: ImageData) -> bool:
    """Whether pixels look like class indices: one channel, or equal ones, of few small numbers that lie in areas."""
    pixels = image.pixels
    if image.depth not in (0, 16) or (pixels.dtype != np.uint8 and not image.depth):
        return False
    values = np.rint(pixels[:, :, 0] * np.float64(65535)).astype(int) if image.depth else pixels[:, :, 0]
    classes = np.unique(values[::4, ::4])  # a first look, for most images are photos
    if len(classes) > HIGHEST_CLASS + 2 or (pixels != pixels[:, :, :1]).any():
        return False
    classes = np.unique(values)
    known = classes[classes != IGNORED]
    even = len(classes) <= FEW_CLASSES or float((values[:, 1:] == values[:, :-1]).mean()) >= EVEN
    return len(classes) > 1 and len(known) > 0 and int(known.max()) <= HIGHEST_CLASS and even


def sight_of(pixels: Pixels, top: int = 0) -> Sight:
    """Return what (H, W, C) tells."""
    small = _small(pixels, 64)
    gray = luminance(small)[:, :, 0]
    inner = gray[BORDER:-BORDER, BORDER:-BORDER]
    steps = np.diff(_box(gray, 8, 9), axis=1) > 0
    digest = hashlib.blake2b(f"{pixels.shape} {pixels.dtype}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    red, green, blue = (float(mean) for mean in small.mean((0, 1)))
    spread = float(pixels.reshape(-1, pixels.shape[2]).std(0, dtype=np.float32).max())
    return Sight(
        digest=digest.digest(),
        dhash=int.from_bytes(np.packbits(steps).tobytes(), "big"),
        thumb=np.rint(_box(small, THUMB, THUMB)).astype(np.uint8).tobytes(),
        outlines=np.rint(_box(_edges(gray), THUMB, THUMB) * (255 / 40)).astype(np.uint8).tobytes(),
        brightness=float(gray.mean()),
        contrast=spread if pixels.dtype == np.uint8 else 255 * spread,
        border=float((gray.sum() - inner.sum()) / (gray.size - inner.size)),
        colour=(red, green, blue),
        top=top,
    )


def match(a: Pixels, b: Pixels) -> Match:
    """Compare the outlines of two images (H, W, C): are they alike, and in the same places?"""
    spectra = []
    for pixels in (a, b):
        edges = _edges(luminance(_small(pixels, EDGES))[:, :, 0])
        edges = edges - edges.mean()
        spectra.append(np.fft.rfft2(edges / (np.linalg.norm(edges) + 1e-6)))
    overlap = np.fft.irfft2(spectra[0].conj() * spectra[1], (EDGES, EDGES))
    reach = EDGES // 8
    near = np.roll(overlap, (reach, reach), (0, 1))[: 2 * reach + 1, : 2 * reach + 1]
    down, right = (int(i) - reach for i in np.unravel_index(int(near.argmax()), near.shape))
    here = near[reach - 1 : reach + 2, reach - 1 : reach + 2].max()
    return Match(float((here - overlap.mean()) / (overlap.std() + 1e-9)), (right / EDGES, down / EDGES))


def _edges(gray: Gray) -> Gray:
    down, right = np.gradient(gray)
    strength: Gray = np.minimum(np.hypot(down, right), 40).astype(np.float32)  # one hard edge must not outweigh all
    return strength


def _small(pixels: Pixels, side: int) -> Gray:
    """Return (side, side, 3) float32, 0 to 255, by averaging: the first three channels, or the first one thrice."""
    pixels = pixels[:, :, :3] if pixels.shape[2] >= 3 else pixels[:, :, :1]
    whole = [pixels] if pixels.dtype == np.uint8 and pixels.shape[2] == 3 else np.split(pixels, pixels.shape[2], axis=2)
    images = [Image.fromarray(np.ascontiguousarray(part.squeeze(2) if part.shape[2] == 1 else part)) for part in whole]
    parts = [np.asarray(image.resize((side, side), Image.Resampling.BOX), np.float32) for image in images]
    small: Gray = np.dstack(parts)
    small = small if pixels.dtype == np.uint8 else 255 * small
    return small if small.shape[2] == 3 else np.repeat(small, 3, axis=2)


def _box(values: Gray, rows: int, columns: int) -> Gray:
    """Average a (64, 64) or (64, 64, C) field over rows x columns boxes."""
    edges = [np.linspace(0, 64, n + 1).astype(int)[:-1] for n in (rows, columns)]
    sums = np.add.reduceat(np.add.reduceat(values, edges[0], 0), edges[1], 1)
    counts = [np.diff([*edge, 64]) for edge in edges]
    area = counts[0][:, None] * counts[1][None, :]
    result: Gray = (sums / (area if values.ndim == 2 else area[:, :, None])).astype(np.float32)
    return result
