"""How far a set of images is, as a whole, from a set of real ones, in the space of an extractor's features.

The mathematics is torch-fidelity's. Nothing here draws from torch's or numpy's shared random numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from viceversa.metrics.base import Metric, MetricValue, Reference, RGBImage, import_extra
from viceversa.metrics.features import Extractor

SUBSETS = 100  # of KID
LARGEST = 1000  # images in a subset
FEWEST = {"kid": 4, "fid": 2}  # images of each kind
TRUSTED = 2048  # images from which on FID is worth its name


def kid(fakes: Tensor, reals: Tensor, *, seed: int = 0) -> MetricValue:
    """Return the kernel distance (Binkowski et al., 2018) of features (N, D) and (M, D), N and M at least 4.

    It is zero in the mean for sets of one kind, however small, so it may be slightly negative. It is the mean over 100
    random subsets of half the smaller set, at most 1000; the spread is their standard deviation. Subsets smaller than
    the sets, for otherwise all were equal and the spread were nothing.
    """
    fidelity = import_extra("torch_fidelity.metric_kid", "torch-fidelity")
    size = min(LARGEST, len(fakes) // 2, len(reals) // 2)
    found = fidelity.kid_features_to_metric(
        fakes.double(), reals.double(), kid_subsets=SUBSETS, kid_subset_size=size, rng_seed=seed, verbose=False
    )
    facts = {"subsets": SUBSETS, "subset_size": size, "seed": seed, "spread": "standard deviation over subsets"}
    return MetricValue(found[fidelity.KEY_METRIC_KID_MEAN], found[fidelity.KEY_METRIC_KID_STD], facts)


def fid(fakes: Tensor, reals: Tensor) -> MetricValue:
    """Return the Frechet distance (Heusel et al., 2017) of features (N, D) and (M, D), N and M at least 2.

    It is biased upwards, the more so the fewer pictures there are, and depends on their number.
    """
    fidelity = import_extra("torch_fidelity.metric_fid", "torch-fidelity")
    fewest = min(len(fakes), len(reals))
    one, two = (fidelity.fid_features_to_statistics(features.double()) for features in (fakes, reals))
    other = "trust KID" if fewest >= FEWEST["kid"] else f"KID would take {FEWEST['kid']}"
    few = f"{fewest} pictures are fewer than {TRUSTED}: biased upwards, comparable at equal counts only; {other}"
    return MetricValue(
        fidelity.fid_statistics_to_metric(one, two, verbose=False)[fidelity.KEY_METRIC_FID],
        facts={"caution": few} if fewest < TRUSTED else {},
    )


class Distribution(Metric):
    """The distance between the features of all images and those of all real ones; named by its extractor."""

    reference: Reference = "real"

    def __init__(self, name: str, extractor: Extractor, distance: Callable[[Tensor, Tensor], MetricValue]) -> None:
        self.name, self.extractor, self.distance = f"{name}[{extractor.name}]", extractor, distance
        self.measures = extractor.name  # its features serve KID and FID
        self.fewest = FEWEST[name]

    def statistics(self, images: Sequence[RGBImage], references: Sequence[RGBImage] | None = None) -> Tensor:
        """Return the images' features."""
        return self.extractor.features(images)

    def compute(self, statistics: Tensor, real: Tensor | None) -> MetricValue:
        """Return the distance, and all that it depends on."""
        assert real is not None
        if min(len(statistics), len(real)) < self.fewest:
            counts = f"{len(statistics)} and {len(real)}"
            raise ValueError(f"{self.name}: needs at least {self.fewest} images of each kind, not {counts}")
        found = self.distance(statistics, real)
        facts = {**self.extractor.facts, "pictures": len(statistics), "real": len(real), **found.facts}
        return MetricValue(found.value, found.spread, facts)
