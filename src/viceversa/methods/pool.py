"""A memory of past translations, so that D does not only see the newest ones (Shrivastava et al., 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ImagePool(nn.Module):
    """Keep up to `size` images and hand out old ones half of the time, decided for each image of a batch on its own.

    While the pool fills, images pass through. Then, with probability 1/2, an image takes the place of a random one in
    the pool, which is returned instead; otherwise it passes through. A size of 0 turns the pool off. The rule is the
    original CycleGAN code's. What is not finite is not kept. Images in the pool carry no gradient; they are part of the
    state_dict, so that a continued run remembers them.
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
