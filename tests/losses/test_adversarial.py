import pytest
import torch

from viceversa.losses import LSGAN, OBJECTIVES, WGANGP, Hinge, Objective, Vanilla

LOGITS = torch.tensor([[[[-2.0, 0.5], [1.0, 3.0]]]])


def test_lsgan_is_the_mean_squared_distance_to_one_and_zero() -> None:
    assert LSGAN().real(LOGITS).item() == pytest.approx((9 + 0.25 + 0 + 4) / 4)
    assert LSGAN().fake(LOGITS).item() == pytest.approx((4 + 0.25 + 1 + 9) / 4)
    assert LSGAN().generator(LOGITS).item() == LSGAN().real(LOGITS).item()


def test_vanilla_is_the_cross_entropy() -> None:
    probability = torch.sigmoid(LOGITS)
    assert Vanilla().real(LOGITS).item() == pytest.approx(-probability.log().mean().item(), rel=1e-5)
    assert Vanilla().fake(LOGITS).item() == pytest.approx(-(1 - probability).log().mean().item(), rel=1e-5)


def test_hinge_ignores_what_lies_beyond_the_margin() -> None:
    assert Hinge().real(LOGITS).item() == pytest.approx((3 + 0.5 + 0 + 0) / 4)
    assert Hinge().fake(LOGITS).item() == pytest.approx((0 + 1.5 + 2 + 4) / 4)
    assert Hinge().generator(LOGITS).item() == pytest.approx(-2.5 / 4)


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
