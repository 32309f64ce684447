"""Scores do not depend on the order of the images, on batches, nor on how many processes measured them."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from viceversa.metrics import make_metrics
from viceversa.metrics.base import Metric, MetricCollection, MetricValue, RGBImage


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


def updated(metrics: Sequence[Metric], *batches: list[int]) -> MetricCollection:
    collection = MetricCollection(metrics)
    for numbers in batches:
        truths = [flat(102)] * len(numbers)
        collection.update("translation", numbers, [flat(100 + n) for n in numbers], truths)
        collection.update("input", numbers, [flat(0)] * len(numbers), truths)
        collection.update("mean", numbers, [flat(110)] * len(numbers), truths)
        collection.update("real", numbers, [flat(110)] * len(numbers))
        collection.update("cycle", numbers, [flat(50 + n) for n in numbers], [flat(50)] * len(numbers))
    return collection


def metrics() -> list[Metric]:
    return [*make_metrics(["l1", "cycle"]), Brightness()]


def test_every_metric_gets_what_it_compares_with() -> None:
    scores = {line["metric"]: line for line in updated(metrics(), [0, 2, 4]).compute()}
    assert scores["l1"]["value"] == pytest.approx((2 + 0 + 2) / 3 / 255)
    assert scores["l1"]["baseline"] == pytest.approx({"input": 102 / 255, "mean": 8 / 255})
    assert scores["cycle"]["value"] == pytest.approx(2 / 255)
    assert scores["cycle"]["baseline"] is None
    assert scores["brightness"]["value"] == pytest.approx(8)
    assert scores["brightness"]["baseline"] == {"input": 110}
    assert scores["l1"]["protocol"]["pictures"] == 3


def test_batches_of_any_sizes_and_order_make_one() -> None:
    whole, parts = (updated(metrics(), *batches) for batches in ([[0, 1, 2, 3]], [[3, 1], [2], [0]]))
    assert parts.compute() == whole.compute()
    assert parts.compute()[2]["protocol"]["order"] == [100, 101, 102, 103]


def test_what_was_not_measured_is_not_scored() -> None:
    collection = MetricCollection(metrics())
    assert collection.compute() == []
    collection.update("translation", [0], [flat(1)])
    collection.update("real", [0], [flat(3)])
    assert [line["metric"] for line in collection.compute()] == ["brightness"]
    collection.reset("translation")
    assert collection.compute() == []


def test_the_same_statistics_are_measured_once() -> None:
    Brightness.measured = Twice.measured = 0
    scores = updated([Brightness(), Twice()], [0, 1], [1]).compute()
    assert Brightness.measured == 6  # translation, input, real of two
    assert Twice.measured == 0
    assert scores[0]["value"] == scores[1]["value"]
