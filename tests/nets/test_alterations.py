from __future__ import annotations

import pytest
import torch

from viceversa.nets import PatchGAN
from viceversa.nets.augment import ALTERATIONS, Augment


@pytest.mark.parametrize("kind", ALTERATIONS)
def test_each_image_is_altered_by_a_draw_of_its_own_that_the_seed_decides(kind: str) -> None:
    x = torch.rand(1, 3, 16, 24).expand(4, -1, -1, -1) + 1
    augment = Augment((kind,))  # type: ignore[arg-type]
    torch.manual_seed(0)
    first = augment(x)
    assert first.shape == x.shape
    assert not torch.equal(first[0], first[1])
    torch.manual_seed(0)
    assert torch.equal(augment(x), first)
    assert torch.equal(augment.eval()(x), x)


@pytest.mark.parametrize("kind", ALTERATIONS)
def test_gradients_pass_through(kind: str) -> None:
    x = torch.rand(2, 3, 16, 16, requires_grad=True)
    Augment((kind,))(x).square().sum().backward()  # type: ignore[arg-type]
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


def test_shift_moves_and_cutout_covers() -> None:
    x = torch.ones(64, 1, 16, 16)
    torch.manual_seed(1)
    moved = ALTERATIONS["shift"](x)
    assert 14 * 14 <= moved.sum((1, 2, 3)).min() < moved.sum((1, 2, 3)).max() == 16 * 16
    covered = 256 - ALTERATIONS["cutout"](x).sum((1, 2, 3))
    assert covered.max() == 8 * 8
    assert covered.min() >= 4 * 4


def test_colour_keeps_the_structure() -> None:
    x = torch.rand(2, 3, 8, 8)
    altered = ALTERATIONS["color"](x).mean(1).flatten()
    for image, other in zip(x.mean(1).flatten(1), altered.reshape(2, -1), strict=True):
        assert torch.corrcoef(torch.stack([image, other]))[0, 1] > 0.999


def test_discriminators_use_it_and_refuse_what_they_do_not_know() -> None:
    plain, altering = PatchGAN(3, width=4, layers=1), PatchGAN(3, width=4, layers=1, augment=("cutout",))
    altering.load_state_dict(plain.state_dict())
    x = torch.rand(2, 3, 16, 16)
    assert not torch.equal(plain(x), altering(x))
    with pytest.raises(ValueError, match="augment=sepia is not known: use some of color, shift, cutout"):
        PatchGAN(3, augment=("sepia",))  # type: ignore[arg-type]
