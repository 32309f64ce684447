"""Keep what a picture shows: its translation should look like the picture itself when both are seen coarsely.

Or resemble itself where the picture does: F-LSeSim (Zheng, Cham, Cai, 2021; arXiv 2104.00854) compares the
self-similarity of features, which says what is where, whatever it looks like.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, distributed, nn
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, conv2d, cosine_similarity, mse_loss, normalize, pad

from viceversa.losses.adversarial import to_float32
from viceversa.losses.contrastive import draw_positions, take

RADIUS, SIGMA = 3, 3.0  # a Gaussian of 7 pixels
AREA, COARSE = 16, 8  # pixels a side
MEMORY = 0.99  # of the means of features: some hundred steps


def content_distance(translation: Tensor, image: Tensor, *, blur: bool = False, pool: int = 1) -> Tensor:
    """Return L1(down(G(x)), down(x)) of a translation and its own input, (B, C, H, W): it asks to change little.

    `down` blurs with a Gaussian (7 pixels, sigma 3, edges reflected) if `blur`, then averages over squares of `pool`
    pixels a side; what it leaves out is free. It is linear, so the difference is taken first. Raises ValueError if the
    squares are larger than the images.
    """
    height, width = image.shape[-2:]
    if pool > min(height, width):
        raise ValueError(f"method.content_pool={pool} is larger than pictures of {width}x{height}; lower it")
    difference = to_float32(translation) - to_float32(image)
    return avg_pool2d(gaussian(difference) if blur else difference, pool).abs().mean()


def gaussian(x: Tensor) -> Tensor:
    """Blur (B, C, H, W) with a Gaussian, columns first; H and W must be 4 or more."""
    offsets = torch.arange(-RADIUS, RADIUS + 1, device=x.device, dtype=x.dtype)
    row = torch.softmax(-offsets.square() / (2 * SIGMA**2), dim=0).repeat(x.shape[1], 1, 1, 1)
    x = pad(x, [RADIUS] * 4, mode="reflect")
    return conv2d(conv2d(x, row.transpose(2, 3), groups=x.shape[1]), row, groups=x.shape[1])


def selfsim(translation: Sequence[Tensor], image: Sequence[Tensor], *, positions: int) -> Tensor:
    """Return 1 - cosine of the self-similarities of two images, the mean over their feature maps (Eq. 2 and 3).

    For each map (B, C, H, W), `positions` places are drawn, the same for all images and processes; the self-similarity
    of a place is its cosine with all places of its own map, less the map's mean.
    """
    distances = []
    for a, b in zip(translation, image, strict=True):
        chosen = draw_positions(a, positions)
        distances.append(1 - cosine_similarity(similarities(a, chosen), similarities(b, chosen), dim=2).mean())
    return torch.stack(distances).mean()


def similarities(feature: Tensor, chosen: Tensor) -> Tensor:
    """Return the cosines of places (N,) in a map (B, C, H, W) with all its places, (B, N, H * W)."""
    feature = to_float32(feature)
    feature = normalize(feature - feature.mean((2, 3), keepdim=True), dim=1)
    return take(feature, chosen) @ feature.flatten(2)


def coarse_color(translation: Tensor, image: Tensor, *, side: int) -> Tensor:
    """Return 1 - cosine of the colours of two batches (B, C, H, W), seen as `side` x `side` areas, less their own mean.

    Which colours stand beside which stays so; brightness, contrast and the tint of the whole are free.
    """
    areas = [adaptive_avg_pool2d(to_float32(x), side).flatten(1) for x in (translation, image)]
    a, b = (colors - colors.mean(1, keepdim=True) for colors in areas)
    return (1 - cosine_similarity(a, b, dim=1, eps=1e-2)).mean()


def deviation(translation: Tensor, truth: Tensor) -> Tensor:
    """Return the squared distance of the standard deviations within areas of two batches, and coarsely of the whole.

    A distance of pixels asks for the middle of all that may be true, which is gray. How much an area varies can be
    right even where its pixels cannot.
    """
    images = to_float32(translation), to_float32(truth)
    local = [avg_pool2d(x.square(), AREA) - avg_pool2d(x, AREA).square() for x in images]
    whole = [avg_pool2d(x, COARSE).var((2, 3), correction=0) for x in images]
    a, b, c, d = ((variance.clamp(min=0) + 1e-4).sqrt() for variance in (*local, *whole))
    return 2 * mse_loss(a, b) + mse_loss(c, d)


class MomentMatching(nn.Module):
    """The squared distance of mean features, translations to target domain, over the last hundred or so steps.

    A pull that no opponent moves (Dos Santos et al., 2019; arXiv 1904.02762).
    Of every channel of every map it compares the mean and the root mean square. Few images say little about a domain,
    so the gradient is that of the moving average of the difference (Sec. 3.2, with a plain average for Adam's).
    """

    gap: Tensor
    steps: Tensor

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("gap", torch.zeros(2 * sum(channels)))
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, fake: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
        """Maps (B, C, H, W) of translations and of real images to the loss; remembers their difference."""
        gap = moments(fake) - moments(real).detach()
        now = gap.detach().clone()
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(now)
            now /= distributed.get_world_size()
        self.gap.lerp_(now.to(self.gap.dtype), 1 - MEMORY)
        self.steps += 1
        average = self.gap / (1 - MEMORY**self.steps)
        return average.to(gap.dtype) @ gap


def moments(maps: Sequence[Tensor]) -> Tensor:
    """Return mean and root mean square of each channel over batch and places, scaled so that each map counts alike."""
    found = []
    for features in map(to_float32, maps):
        mean, square = (power.mean((2, 3)) for power in (features, features.square()))
        found.append(torch.cat([mean, (square + 1e-4).sqrt()], dim=1).mean(0) / features.shape[1] ** 0.5)
    return torch.cat(found)
