"""Images as Python programs hold them: PIL images, numpy arrays and torch tensors, in and out."""

from __future__ import annotations

from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from viceversa.data.image_data import ImageData, eight_bits, in_16_bits, pil_image, to_pil
from viceversa.data.image_io import from_pil

Picture: TypeAlias = Image.Image | NDArray[Any] | Tensor | ImageData
"""PIL; an array (H, W) or (H, W, C) or a tensor (C, H, W), uint8, uint16 or floats in [0, 1]; or our own form."""
Kind = TypeVar("Kind", bound=Picture)


def to_image_data(image: Picture) -> ImageData:
    """Return an image in our own form; ValueError for arrays and tensors that are no images."""
    if isinstance(image, ImageData):
        return image
    if isinstance(image, Image.Image):
        return from_pil(image)
    if isinstance(image, Tensor):
        if image.ndim != 3:
            raise ValueError(f"a tensor of an image is (channels, height, width), this is {tuple(image.shape)}")
        image = image.detach().cpu().permute(1, 2, 0)
        image = (image.float() if image.is_floating_point() else image).numpy()
    if image.dtype.kind != "f" and image.dtype != np.uint16:
        return from_pil(pil_image(image))
    if image.ndim not in (2, 3) or 0 in image.shape:
        raise ValueError(f"an array of an image is (height, width, channels), this is {image.shape}")
    top = 65535 if image.dtype == np.uint16 else 1
    if not (image.min() >= 0 and image.max() <= top):
        raise ValueError(f"floats of an image are 0 to 1, these are {image.min():g} to {image.max():g}; scale them")
    pixels = (image.reshape(*image.shape[:2], -1) / top).astype(np.float32)
    alpha = eight_bits(pixels[:, :, 3]) if pixels.shape[2] == 4 else None
    return ImageData(pixels[:, :, :3] if alpha is not None else pixels, alpha, pixels.shape[2] == 1, 16 * (top > 1))


def like(result: ImageData, image: Kind) -> Kind:
    """Return a translation as the kind of thing that its input was: type, numbers, order of dimensions, device."""
    made: Any = result
    if isinstance(image, Image.Image):
        made = to_pil(result)
    elif isinstance(image, Tensor):
        numbers = image.numpy(force=True).dtype if image.dtype != torch.bfloat16 else np.dtype(np.float32)
        made = torch.from_numpy(_array(result, numbers)).permute(2, 0, 1).to(image)
    elif isinstance(image, np.ndarray):
        made = _array(result, image.dtype)
        made = made[:, :, 0] if image.ndim == 2 and made.shape[2] == 1 else made
    kind: Kind = made
    return kind


def _array(image: ImageData, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return (H, W, C) with its alpha, in numbers of this type."""
    pixels = in_16_bits(image).pixels
    if image.alpha is not None:
        top = 255 if pixels.dtype == np.uint8 else 1
        pixels = np.dstack([pixels, (image.alpha * (top / 255)).astype(pixels.dtype)])
    if dtype == np.uint8:
        return eight_bits(pixels)
    return np.rint(pixels * 65535).astype(dtype) if dtype == np.uint16 else pixels.astype(dtype)
