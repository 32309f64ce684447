"""FID and KID are torchmetrics' to eight digits, and say what they rest on."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from viceversa.metrics import make_metrics
from viceversa.metrics.distribution import fid, kid


def features(count: int, dimension: int = 24, shift: float = 0.0, seed: int = 0) -> Tensor:
    return torch.randn(count, dimension, generator=torch.Generator().manual_seed(seed)).relu() + shift


def test_fid_is_torchmetrics() -> None:
    from torchmetrics.image import FrechetInceptionDistance

    one, other = features(60), features(50, shift=0.3, seed=1)
    identity = nn.Identity()
    identity.num_features = one.shape[1]
    theirs = FrechetInceptionDistance(identity).set_dtype(torch.float64)
    theirs.update(one.double(), real=False)
    theirs.update(other.double(), real=True)
    assert fid(one, other).value == pytest.approx(theirs.compute().item(), rel=1e-8)


def test_kid_is_torchmetrics() -> None:
    from torchmetrics.image.kid import poly_mmd

    one, other = features(60).double(), features(50, shift=0.3, seed=1).double()
    rng = np.random.RandomState(7)
    each = []
    for _ in range(100):
        some, others = (rng.choice(len(f), 25, replace=False) for f in (one, other))
        each.append(poly_mmd(other[others], one[some]).item())
    found = kid(one, other, seed=7)
    assert found.value == pytest.approx(np.mean(each), rel=1e-8)
    assert found.spread == pytest.approx(np.std(each), rel=1e-8)
    assert found.facts["subset_size"] == 25


def test_the_shared_random_numbers_are_left_alone() -> None:
    before = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    kid(features(10), features(10, seed=1))
    after = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    assert all(map(np.array_equal, before, after))
    assert kid(features(10), features(10, seed=1), seed=1) != kid(features(10), features(10, seed=1), seed=2)


def test_too_few_pictures_are_refused_and_few_are_cautioned() -> None:
    for metric, fewest in zip(make_metrics(["kid", "fid"]), (4, 2), strict=True):
        metric.compute(features(fewest), features(10))
        with pytest.raises(ValueError, match=f"at least {fewest}"):
            metric.compute(features(fewest - 1), features(10))
    assert fid(features(2047, 2), features(3000, 2)).facts["caution"].endswith("trust KID")
    assert "trust KID" not in fid(features(3, 2), features(3000, 2)).facts["caution"]
    assert fid(features(2048, 2), features(2048, 2)).facts == {}


def test_a_score_says_through_what_it_looks() -> None:
    [metric] = make_metrics(["kid"], seed=5)
    images = list(np.random.default_rng(0).integers(0, 255, (4, 16, 16, 3)).astype(np.uint8))
    statistics = metric.statistics(images, None)
    found = metric.compute(statistics, statistics.flip(0))
    assert metric.name == "kid[efficientnet-lite0]"
    wanted = {"extractor": "efficientnet-lite0", "seed": 5, "pictures": 4, "real": 4}
    assert wanted.items() <= found.facts.items()
    assert "224" in found.facts["resizer"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("kidd", "did you mean kid"),
        ("kid[vgg]", "no such feature extractor; there are efficientnet-lite0, inception"),
        ("kid[", "no such metric"),
    ],
)
def test_an_unknown_metric_is_refused(name: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make_metrics([name])


def test_metrics_of_the_same_name_are_one_and_share_their_extractor() -> None:
    found = make_metrics(["kid", "kid[efficientnet-lite0]", "fid", "psnr"])
    assert [metric.name for metric in found] == ["kid[efficientnet-lite0]", "fid[efficientnet-lite0]", "psnr"]
    assert found[0].measures == found[1].measures
    assert found[0].extractor is found[1].extractor
