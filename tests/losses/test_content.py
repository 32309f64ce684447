import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn.functional import avg_pool2d

from viceversa.losses.content import MomentMatching, coarse_color, content_distance, deviation, selfsim
from viceversa.seeds import SHARED


def images(seed: int, side: int = 12, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(seed), dtype=dtype) * 2 - 1


def blurred(x: Tensor) -> Tensor:
    """A Gaussian of 7 pixels and sigma 3, edges reflected."""
    return torch.from_numpy(gaussian_filter(x.numpy(), sigma=3, radius=3, mode="mirror", axes=(2, 3)))


def test_is_the_l1_distance_of_what_is_left() -> None:
    x, y = images(0), images(1)
    assert content_distance(x, y).item() == pytest.approx((x - y).abs().mean().item())
    pooled = (avg_pool2d(x, 4) - avg_pool2d(y, 4)).abs().mean()
    assert content_distance(x, y, pool=4).item() == pytest.approx(pooled.item())
    difference = blurred(x) - blurred(y)
    assert content_distance(x, y, blur=True).item() == pytest.approx(difference.abs().mean().item())
    both = avg_pool2d(difference, 4).abs().mean()
    assert content_distance(x, y, blur=True, pool=4).item() == pytest.approx(both.item())


def test_is_computed_in_float32_and_trains_the_translation() -> None:
    fake, x = images(0, dtype=torch.float32).bfloat16().requires_grad_(), images(1, dtype=torch.float32)
    loss = content_distance(fake, x, blur=True, pool=2)
    assert loss.dtype == torch.float32
    loss.backward()
    assert fake.grad.abs().sum() > 0


def test_squares_larger_than_the_picture_are_refused() -> None:
    with pytest.raises(ValueError, match="content_pool=13 is larger than pictures of 12x12; lower it"):
        content_distance(images(0), images(1), pool=13)
    content_distance(images(0), images(1), pool=12)


def feature(seed: int = 0) -> Tensor:
    return torch.randn(2, 6, 5, 7, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def distance(a: Tensor, b: Tensor, positions: int = 1000) -> float:
    return selfsim([a], [b], positions=positions).item()


def test_appearance_is_free_and_layout_is_not() -> None:
    rotation, _ = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
    turned = torch.einsum("dc,bchw->bdhw", rotation, feature()) * 3 + 5  # other features, alike where they were
    assert distance(turned, feature()) == pytest.approx(0, abs=1e-9)
    assert distance(feature().flip(3), feature()) > 0.3
    assert distance(feature(1), feature()) > 0.5


def test_places_are_drawn_from_the_shared_generator() -> None:
    def drawn(seed: int) -> float:
        SHARED.manual_seed(seed)
        return distance(feature(1), feature(), positions=3)

    assert drawn(0) == drawn(0) != drawn(1)


def test_coarse_colour_holds_which_colours_stand_beside_which() -> None:
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert coarse_color(0.3 * x - 0.5, x, side=4).item() == pytest.approx(0, abs=1e-5), "darker and paler is free"
    assert coarse_color(-x, x, side=4).item() == pytest.approx(2, abs=1e-5)
    assert coarse_color(x.flip(1), x, side=4).item() > 0.2
    within = x.view(2, 3, 4, 2, 8).flip(3).reshape(x.shape)
    assert coarse_color(within, x, side=4).item() == pytest.approx(0, abs=1e-5), "what is smaller than an area is free"


def maps(level: float) -> list[Tensor]:
    return [torch.full((2, 4, 3, 3), level, dtype=torch.float64), torch.full((2, 9, 2, 2), level, dtype=torch.float64)]


def test_is_the_squared_distance_of_means_and_root_mean_squares_each_map_counting_alike() -> None:
    loss = MomentMatching([4, 9]).double()
    assert loss(maps(2.0), maps(1.5)).item() == pytest.approx(4 * 0.5**2, rel=1e-3)
    assert loss(maps(1.5), maps(1.5)).item() == pytest.approx(0, abs=1e-6)


def test_one_unusual_batch_does_not_turn_the_gradient() -> None:
    loss = MomentMatching([4, 9]).double()
    for _ in range(20):
        loss(maps(2.0), maps(1.0))
    fake = [part.requires_grad_() for part in maps(0.5)]
    loss(fake, maps(1.0)).backward()
    assert all(part.grad is not None and (part.grad > 0).all() for part in fake), "still downwards"


def test_the_deviation_within_areas_is_compared_and_not_what_varies() -> None:
    x = images(0, side=32)
    assert deviation(-x, x).item() == pytest.approx(0, abs=1e-12)
    assert deviation(x + 0.5, x).item() == pytest.approx(0, abs=1e-12)
    areas = x.unflatten(3, (2, 16)).unflatten(2, (2, 16))
    local, whole = areas.std((3, 5), correction=0), avg_pool2d(x, 8).std((2, 3), correction=0)
    expected = 2 * (local / 2).square().mean() + (whole / 2).square().mean()
    assert deviation(x / 2, x).item() == pytest.approx(expected.item(), rel=0.02)


def test_the_deviation_pulls_a_gray_image_away_from_gray() -> None:
    gray = (0.1 * images(0, side=32)).requires_grad_()
    deviation(gray, images(1, side=32)).backward()
    assert gray.grad is not None
    assert (gray.detach() - 0.01 * gray.grad.sign()).std() > gray.std()
