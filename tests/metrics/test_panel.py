"""A panel's scores do not depend on the order of the pictures, nor on how many processes looked."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from viceversa.metrics.base import Metric, Picture, Value
from viceversa.metrics.paired import L1, Cycle
from viceversa.metrics.panel import Panel


def flat(value: int) -> Picture:
    return np.full((4, 4, 3), value, np.uint8)


class Brightness(Metric):
    """Distance of mean brightness."""

    name = "brightness"
    reference = "real"
    asked = 0

    def note(self, picture: Picture, reference: Picture | None) -> Tensor:
        type(self).asked += 1
        return torch.tensor([float(picture.mean())])

    def value(self, notes: Tensor, real: Tensor | None) -> Value:
        assert real is not None
        return Value(float(abs(notes.mean() - real.mean())), None, {"order": notes.flatten().tolist()})


class Twice(Brightness):
    """Notes what Brightness notes."""

    name = "twice"
    notebook = "brightness"


def shown(panel: Panel, numbers: list[int]) -> Panel:
    for n in numbers:
        panel.show(n, {"translation": flat(100 + n), "input": flat(0), "mean": flat(110)}, truth=flat(102))
        panel.show_real(n, flat(110))
        panel.show_way_back(n, flat(50), flat(50 + n))
    return panel


def test_every_metric_gets_what_it_compares_with() -> None:
    scores = {s.metric: s for s in shown(Panel([L1(), Cycle(), Brightness()]), [0, 2, 4]).scores()}
    assert scores["l1"].value == pytest.approx((2 + 0 + 2) / 3 / 255)
    assert scores["l1"].baseline == pytest.approx({"input": 102 / 255, "mean": 8 / 255})
    assert scores["cycle"].value == pytest.approx(2 / 255)
    assert scores["cycle"].baseline == {}
    assert scores["brightness"].value == pytest.approx(8)
    assert scores["brightness"].baseline == {"input": 110}
    assert scores["l1"].protocol["pictures"] == 3


def test_shares_of_several_processes_make_one() -> None:
    metrics = [L1(), Cycle(), Brightness()]
    whole, odd, even = (shown(Panel(metrics), numbers) for numbers in ([0, 1, 2, 3], [3, 1], [2, 0]))
    even.merge(odd.notes)
    assert even.scores() == whole.scores()
    assert even.scores()[2].protocol["order"] == [100, 101, 102, 103]


def test_what_was_not_shown_is_not_scored() -> None:
    panel = Panel([L1(), Cycle(), Brightness()])
    assert panel.scores() == []
    panel.show(0, {"translation": flat(1), "input": flat(2)})
    panel.show_real(0, flat(3))
    assert [score.metric for score in panel.scores()] == ["brightness"]


def test_notes_that_are_the_same_are_made_once() -> None:
    Brightness.asked = Twice.asked = 0
    scores = shown(Panel([Brightness(), Twice()]), [0, 1]).scores()
    assert Brightness.asked == 6  # translation, input, real of two
    assert Twice.asked == 0
    assert scores[0].value == scores[1].value
