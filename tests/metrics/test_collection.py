"""What metrics measure of batches of images, and what they say of it."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from viceversa.metrics import make_metrics
from viceversa.metrics.base import Candidate, Metric, MetricValue, RGBImage, Statistics, compute, join, measure


def flat(value: int) -> RGBImage:
    return np.full((4, 4, 3), value, np.uint8)


class Brightness(Metric):
    """Distance of mean brightness."""

    name = measures = "brightness"
    reference = "real"
    measured = 0

    def statistics(self, images: Sequence[RGBImage], references: Sequence[RGBImage] | None) -> Tensor:
        type(self).measured += len(images)
        return torch.tensor([[float(image.mean())] for image in images])

    def compute(self, statistics: Tensor, real: Tensor | None) -> MetricValue:
        return MetricValue(float(abs(statistics.mean() - real.mean())), None, {"order": statistics.flatten().tolist()})


class Twice(Brightness):
    """Measures what Brightness measures."""

    name = "twice"


def metrics() -> list[Metric]:
    return [*make_metrics(["l1", "cycle"]), Brightness()]


def measured(*batches: list[int]) -> dict[Candidate, Statistics]:
    """What three metrics see of images of given brightness, in batches."""
    to_truth, to_input, to_all = ([metric] for metric in metrics())

    def images(start: int, metrics: list[Metric], reference: int) -> Statistics:
        parts = [([flat(start + n) for n in batch], [flat(reference)] * len(batch)) for batch in batches]
        return join([measure(metrics, *part) for part in parts])

    return {
        "translation": images(100, to_truth + to_all, 102),
        "input": images(0, to_truth + to_all, 102),
        "mean": images(110, to_truth, 102),
        "real": images(110, to_all, 0),
        "cycle": images(50, to_input, 50),
    }


def test_every_metric_gets_what_it_compares_with() -> None:
    scores = {line["metric"]: line for line in compute(metrics(), measured([0, 2, 4]))}
    assert scores["l1"]["value"] == pytest.approx((2 + 0 + 2) / 3 / 255)
    assert scores["l1"]["baseline"] == pytest.approx({"input": 100 / 255, "mean": 10 / 255})
    assert scores["cycle"]["value"] == pytest.approx(2 / 255)
    assert scores["cycle"]["baseline"] is None
    assert scores["brightness"]["value"] == pytest.approx(10)
    assert scores["brightness"]["baseline"] == {"input": 110}
    assert scores["l1"]["protocol"]["pictures"] == 3


def test_batches_of_any_size_make_one() -> None:
    assert compute(metrics(), measured([0, 1], [2], [3])) == compute(metrics(), measured([0, 1, 2, 3]))


def test_what_was_not_measured_is_not_scored() -> None:
    found = measured([0])
    assert compute(metrics(), {}) == []
    assert [line["metric"] for line in compute(metrics(), {"cycle": found["cycle"]})] == ["cycle"]
    assert compute(metrics(), {"translation": join([]), "real": found["real"]}) == []


def test_the_same_statistics_are_measured_once() -> None:
    Brightness.measured = Twice.measured = 0
    both = [Brightness(), Twice()]
    found = {who: measure(both, [flat(level), flat(level + 1)]) for who, level in (("translation", 1), ("real", 5))}
    assert Brightness.measured + Twice.measured == 4
    one, other = compute(both, found)
    assert one["value"] == other["value"] == 4
