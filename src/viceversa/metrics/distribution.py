"""How far a set of pictures is, as a whole, from a set of real ones, in the space of an extractor's features.

The mathematics is torch-fidelity's. Nothing here draws from torch's or numpy's shared random numbers.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from viceversa.metrics.base import Metric, MissingExtra, Picture, Reference, Value
from viceversa.metrics.features import Extractor

SUBSETS = 100  # of KID
LARGEST = 1000  # pictures in a subset
TRUSTED = 2048  # pictures from which on FID is worth its name


def kid(fakes: Tensor, reals: Tensor, *, seed: int = 0) -> Value:
    """Return the kernel distance (Binkowski et al., 2018) of features (N, D) and (M, D), N and M at least 4.

    It is zero in the mean for sets of one kind, however small, so it may be slightly negative. It is the mean over 100
    random subsets of half the smaller set, at most 1000; the spread is their standard deviation. Subsets smaller than
    the sets, for otherwise all were equal and the spread were nothing.
    """
    try:
        from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric
    except ModuleNotFoundError:
        raise MissingExtra("torch-fidelity") from None
    size = min(LARGEST, len(fakes) // 2, len(reals) // 2)
    if size < 2:
        raise ValueError(f"KID needs at least 4 pictures of each kind, not {len(fakes)} and {len(reals)}")
    found = kid_features_to_metric(
        fakes.double(), reals.double(), kid_subsets=SUBSETS, kid_subset_size=size, rng_seed=seed, verbose=False
    )
    facts = {"subsets": SUBSETS, "subset_size": size, "seed": seed, "spread": "standard deviation over subsets"}
    return Value(found[KEY_METRIC_KID_MEAN], found[KEY_METRIC_KID_STD], facts)


def fid(fakes: Tensor, reals: Tensor) -> Value:
    """Return the Frechet distance (Heusel et al., 2017) of features (N, D) and (M, D), N and M at least 2.

    It is biased upwards, the more so the fewer pictures there are, and depends on their number.
    """
    try:
        from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric
    except ModuleNotFoundError:
        raise MissingExtra("torch-fidelity") from None
    fewest = min(len(fakes), len(reals))
    if fewest < 2:
        raise ValueError(f"FID needs at least 2 pictures of each kind, not {len(fakes)} and {len(reals)}")
    one, other = (fid_features_to_statistics(features.double()) for features in (fakes, reals))
    few = f"{fewest} pictures are fewer than {TRUSTED}: biased upwards, comparable at equal counts only; trust KID"
    return Value(
        fid_statistics_to_metric(one, other, verbose=False)[KEY_METRIC_FID],
        facts={"caution": few} if fewest < TRUSTED else {},
    )


class Distribution(Metric):
    """What judges the features of all pictures together."""

    reference: Reference = "real"
    word: str

    def __init__(self, extractor: Extractor, seed: int = 0) -> None:
        self.extractor, self.seed = extractor, seed
        self.name = f"{self.word}[{extractor.name}]"

    @property
    def notebook(self) -> str:
        """Return the extractor's name: its features serve KID and FID."""
        return self.extractor.name

    def note(self, picture: Picture, reference: Picture | None = None) -> Tensor:
        """Return the picture's features."""
        return self.extractor(picture)

    def value(self, notes: Tensor, real: Tensor | None) -> Value:
        """Return the distance, and all that it depends on."""
        assert real is not None
        found = self.distance(notes, real)
        used = self.extractor
        facts = {"extractor": used.name, "extractor_sha256": used.weights, "resizer": used.resizer}
        counts = {"pictures": len(notes), "real": len(real)}
        return Value(found.value, found.spread, {**facts, **counts, **found.facts})

    @abstractmethod
    def distance(self, fakes: Tensor, reals: Tensor) -> Value:
        """Return the distance of two sets of features."""


class Kid(Distribution):
    """Kernel distance of features: unbiased, so the one to lead by."""

    word = "kid"

    def distance(self, fakes: Tensor, reals: Tensor) -> Value:
        """Return KID."""
        return kid(fakes, reals, seed=self.seed)


class Fid(Distribution):
    """Frechet distance of features: what papers print."""

    word = "fid"

    def distance(self, fakes: Tensor, reals: Tensor) -> Value:
        """Return FID."""
        return fid(fakes, reals)


class TargetClass(Metric):
    """The share of pictures in which a classifier sees the wanted class of ImageNet first, such as zebra."""

    reference: Reference = "none"
    higher_is_better = True

    def __init__(self, extractor: Extractor, wanted: str) -> None:
        self.extractor, self.number = extractor, class_number(wanted)
        self.name = f"target_class[{wanted}]"

    def note(self, picture: Picture, reference: Picture | None = None) -> Tensor:
        """Return 1 or 0."""
        return torch.tensor([float(self.extractor.top_class(picture) == self.number)])

    def value(self, notes: Tensor, real: Tensor | None = None) -> Value:
        """Return the share, 0 to 1."""
        used = self.extractor
        facts = {
            "extractor": used.name,
            "extractor_sha256": used.weights,
            "resizer": used.resizer,
            "pictures": len(notes),
        }
        return Value(notes.mean().item(), None, facts)


def class_number(name: str) -> int:
    """Return the number of an ImageNet class; ValueError if there is none of that name."""
    try:
        from torchvision.models import EfficientNet_B0_Weights
    except ModuleNotFoundError:
        raise MissingExtra("torchvision") from None
    categories: list[str] = EfficientNet_B0_Weights.DEFAULT.meta["categories"]
    if name not in categories:
        close = [known for known in categories if name.lower() in known.lower()][:5]
        hint = f"; did you mean {', '.join(close)}?" if close else ", such as zebra or sorrel"
        raise ValueError(f"target_class[{name}]: no class of ImageNet{hint}")
    return categories.index(name)
