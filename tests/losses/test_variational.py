from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from viceversa.losses.variational import KL, kl


def code(*shape: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(shape, dtype=dtype), torch.randn(shape, dtype=dtype)


def textbook(mean: Tensor, logvar: Tensor) -> Tensor:
    one = Normal(torch.zeros_like(mean), torch.ones_like(mean))
    return kl_divergence(Normal(mean, (logvar / 2).exp()), one)


@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 1, 1), (2, 4, 3, 6)])
def test_kl_is_that_of_two_gaussians(shape: tuple[int, ...]) -> None:
    mean, logvar = code(*shape)
    wanted = textbook(mean, logvar)
    assert kl(mean, logvar, reduction="sum").item() == pytest.approx(wanted.flatten(1).sum(1).mean().item())
    assert kl(mean, logvar, reduction="mean").item() == pytest.approx(wanted.mean().item())


def test_small_divergences_and_large_ones_are_exact_in_low_precision() -> None:
    small = torch.full((1, 8), 2.0**-7)
    assert kl(0 * small, small).item() == pytest.approx(2.0**-16, rel=1e-2)  # logvar^2 / 4
    for dtype in (torch.bfloat16, torch.float16):
        mean, logvar = torch.full((1, 8), 300.0, dtype=dtype), torch.full((1, 8), 20.0, dtype=dtype)
        found = kl(mean, logvar)
        assert found.dtype == torch.float32
        assert found.item() == pytest.approx(
            0.5 * (float(mean[0, 0]) ** 2 + torch.tensor(20.0).exp().item() - 21), rel=1e-4
        )


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_free_bits_are_nats_for_each_channel_of_the_code(reduction: Any) -> None:
    """Channel 0 costs 2 nats over its four positions, channel 1 a quarter of a nat; half a nat is free."""
    mean = torch.tensor([1.0, 8**-0.5]).view(1, 2, 1, 1).expand(3, 2, 2, 2).clone().requires_grad_()
    numbers = {"sum": 1, "mean": 8}[reduction]
    logvar = torch.zeros_like(mean)
    assert kl(mean, logvar, reduction=reduction).item() == pytest.approx(2.25 / numbers)
    loss = kl(mean, logvar, reduction=reduction, free_bits=0.5)
    assert loss.item() == pytest.approx(2.5 / numbers)
    loss.backward()
    assert bool((mean.grad[:, 0] > 0).all())
    assert bool((mean.grad[:, 1] == 0).all())


def make(**changes: Any) -> KL:
    return KL(**{"weight": 2.0, "on": "all", "reduction": "mean", "warmup": 0, "free_bits": 0.0, **changes})


def test_which_passes_pay() -> None:
    codes = [(torch.full((1, 2), value), torch.zeros(1, 2)) for value in (1.0, 2.0, 3.0)]  # 1/2, 2, 9/2 nats
    assert [loss.item() for loss in make(on="translation")(codes, codes[1:])] == pytest.approx([1, 4])
    assert [loss.item() for loss in make(on="all")(codes, codes[1:])] == pytest.approx([2 * 7 / 3, 6.5])
    assert [loss.item() for loss in make(on="last")(codes, codes[1:])] == pytest.approx([4, 4])


def test_the_weight_rises_to_its_full_value_and_its_progress_is_saved() -> None:
    codes = [(torch.full((1, 2), 1.0), torch.zeros(1, 2))]
    warm, other = make(warmup=4), make(warmup=4)
    assert [warm(codes, codes)[1].item() for _ in range(3)] == pytest.approx([0.25, 0.5, 0.75])
    other.load_state_dict(warm.state_dict())
    assert [other(codes, codes)[0].item() for _ in range(3)] == pytest.approx([1, 1, 1])
    assert make(warmup=0)(codes, codes)[0].item() == pytest.approx(1)


def test_the_count_survives_a_change_of_precision() -> None:
    for dtype in (torch.float64, torch.bfloat16):
        warm = make(warmup=1000).to(dtype)
        for _ in range(300):
            loss, _ = warm([code(1, 2)], [code(1, 2)])
        assert int(warm.steps) == 300
        assert loss.item() == pytest.approx(0.6 * kl(*code(1, 2)).item())
