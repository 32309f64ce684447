"""The contrast of patches, by hand on examples small enough for a sheet of paper."""

import math

import pytest
import torch
from torch import Tensor

from viceversa.losses import contrastive
from viceversa.losses.contrastive import attend, draw_positions, patch_nce, take

HALF = math.sqrt(0.5)
QUERY = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])  # one image, two patches, two numbers
KEY = torch.tensor([[[HALF, HALF], [0.0, 1.0]]])


def softplus(x: float) -> float:
    return math.log(1 + math.exp(x))


def test_infonce_by_hand() -> None:
    """Query 0 likes its own key by 0.707 and the other by 0; query 1 by 1 and 0.707. The masked own key counts -10."""
    found = patch_nce(QUERY, KEY, temperature=0.5, negatives="image")
    assert found.tolist() == pytest.approx([softplus((0 - HALF) / 0.5), softplus((HALF - 1) / 0.5)], abs=1e-6)
    assert patch_nce(QUERY.bfloat16(), KEY.bfloat16(), negatives="image").dtype == torch.float32


def test_the_mask_comes_before_the_temperature() -> None:
    """As unlike as can be: the own key and the other both count -1 / 0.1 = -10, the masked one -100, which vanishes.

    Masked after the division, as source 001 did, it would count -10, too, and the loss would be log 3.
    """
    query, key = torch.tensor([[[1.0, 0.0]] * 2]), torch.tensor([[[-1.0, 0.0]] * 2])
    assert patch_nce(query, key, temperature=0.1, negatives="image").tolist() == pytest.approx([math.log(2)] * 2)


def test_ence_by_hand() -> None:
    found = patch_nce(QUERY, KEY, temperature=0.5, contrast="ence", negatives="image")
    by_hand = [0.5 * math.exp(-HALF) + 0.5 * math.exp(0), 0.5 * math.exp(-1) + 0.5 * math.exp(HALF)]
    assert found.tolist() == pytest.approx(by_hand)


def test_negatives_of_the_image_or_of_the_batch() -> None:
    query, key = torch.cat([QUERY, QUERY.flip(1)]), torch.cat([KEY, KEY.flip(-1)])
    alone = [patch_nce(query[i : i + 1], key[i : i + 1], temperature=0.5, negatives="image") for i in (0, 1)]
    assert torch.allclose(patch_nce(query, key, temperature=0.5, negatives="image"), torch.cat(alone))
    together = patch_nce(query, key, temperature=0.5, negatives="batch")
    own, *others = (QUERY[0, 0] @ key.flatten(0, 1).T).tolist()
    assert together[0].item() == pytest.approx(
        -math.log(math.exp(own / 0.5) / sum(math.exp(x / 0.5) for x in (own, *others))), abs=1e-6
    )
    assert bool((together > torch.cat(alone)).all())


def test_random_patches_are_different_positions_the_same_for_all_images() -> None:
    torch.manual_seed(0)
    feature = torch.arange(2 * 3 * 4 * 5, dtype=torch.float32).view(2, 3, 4, 5)
    chosen = draw_positions(feature, 7)
    assert len(set(chosen.tolist())) == 7
    assert max(chosen.tolist()) < 20
    patches = take(feature, chosen)
    assert patches.shape == (2, 7, 3)
    for n, place in enumerate(chosen.tolist()):
        assert torch.equal(patches[:, n], feature[:, :, place // 5, place % 5])
    assert len(draw_positions(feature, 256)) == 20


def sharp_and_dull() -> tuple[Tensor, Tensor]:
    """A map of 2 x 2 positions with two numbers each, and by hand how each attends to all: a softmax of products."""
    rows = torch.tensor([[3.0, 0.0], [0.1, 0.1], [0.0, 2.0], [0.2, 0.0]])
    attention = torch.tensor([[math.exp(a @ b) / sum(math.exp(a @ c) for c in rows) for b in rows] for a in rows])
    return rows.T.reshape(1, 2, 2, 2), attention


def test_attention_chooses_the_sharpest_rows_and_routes_by_them() -> None:
    feature, attention = sharp_and_dull()
    entropy = [-sum(p * math.log(p) for p in row) for row in attention.tolist()]
    order = sorted(range(4), key=entropy.__getitem__)
    assert order[:2] == [0, 2]
    chosen = attend(feature, 2)
    assert torch.allclose(chosen, attention[[0, 2]][None], atol=1e-6)
    rows = feature.flatten(2).transpose(1, 2)[0]
    assert torch.allclose(take(feature, chosen), (attention[[0, 2]] @ rows)[None], atol=1e-6)


def test_attention_in_parts_is_attention_and_passes_a_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each image attends to its own positions."""
    feature = torch.randn(2, 3, 8, 6, generator=torch.Generator().manual_seed(0)).requires_grad_()
    whole = attend(feature, 5)
    monkeypatch.setattr(contrastive, "ROWS", 7)
    assert torch.equal(attend(feature, 5), whole)
    whole[0, 0, 0].backward()
    assert feature.grad[0].abs().sum() > 0
    assert feature.grad[1].abs().sum() == 0
