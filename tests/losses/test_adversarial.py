import pytest
import torch

from viceversa.losses import LSGAN, OBJECTIVES, WGANGP, Hinge, Objective, Vanilla

LOGITS = torch.tensor([[[[-2.0, 0.5], [1.0, 3.0]]]])


P = torch.sigmoid(LOGITS)
BY_HAND = {
    LSGAN: ((9 + 0.25 + 0 + 4) / 4, (4 + 0.25 + 1 + 9) / 4, (9 + 0.25 + 0 + 4) / 4),  # squares, from 1 and from 0
    Vanilla: (-P.log().mean(), -(1 - P).log().mean(), -P.log().mean()),  # the cross entropy
    Hinge: ((3 + 0.5 + 0 + 0) / 4, (0 + 1.5 + 2 + 4) / 4, -2.5 / 4),  # nothing beyond the margin
}


@pytest.mark.parametrize("objective", BY_HAND)
def test_losses_are_what_they_are_by_hand(objective: type[Objective]) -> None:
    found = [loss(LOGITS).item() for loss in (objective().real, objective().fake, objective().generator)]
    assert found == pytest.approx([float(value) for value in BY_HAND[objective]], rel=1e-5)


def steep(x: torch.Tensor) -> torch.Tensor:
    """A discriminator of slope 3 at every number."""
    return 3 * x.flatten(1).sum(1)[:, None, None, None]


def test_penalties_of_slopes() -> None:
    real, fake = torch.rand(2, 3, 2, 4, 4)
    slope = 3 * 32**0.5
    difference = 0.5 * (steep(fake) - steep(real)).mean().item()
    total = WGANGP(penalty=2.0).discriminator(steep, real=real, fake=fake).item()
    assert total == pytest.approx(difference + 0.5 * 2 * (slope - 1) ** 2, rel=1e-4)  # half of Eq. 3, whole
    plain = Hinge().discriminator(steep, real=real, fake=fake).item()
    with_penalty = Hinge(r1=0.1).discriminator(steep, real=real, fake=fake).item()
    assert with_penalty == pytest.approx(plain + 0.05 * slope**2, rel=1e-5)  # gamma / 2 * |slope|^2


@pytest.mark.parametrize("name", OBJECTIVES)
def test_losses_are_computed_in_float32_under_autocast(name: str) -> None:
    objective: Objective = OBJECTIVES[name]()
    for loss in (objective.real, objective.fake, objective.generator):
        assert loss(LOGITS.bfloat16()).dtype == torch.float32
