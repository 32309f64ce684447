"""Compiled blocks: the same training, under the same keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from viceversa.config import ConfigError, load_config
from viceversa.engine import compiling, settle
from viceversa.engine.distributed import DistInfo
from viceversa.engine.learner import Learner
from viceversa.engine.settle import settled
from viceversa.methods import METHODS

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def losses(learner: Learner) -> dict[str, float]:
    """Take two steps and return the losses of the second."""
    images = torch.rand(2, 2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for a, b in images.split(1, dim=1):
        found = learner.train_step({"A": a, "B": b})
    return {name: loss.item() for name, loss in found.items()}


def agree(tiny: Any, method: str) -> None:
    """Compare with SGD: Adam would make full steps of rounding noise."""
    plain, compiled = (
        Learner(tiny(method, "train.optimizer=sgd", f"train.compile={choice}"), 1) for choice in ("false", "true")
    )
    assert losses(compiled) == pytest.approx(losses(plain), rel=1e-4, abs=1e-5)
    assert list(compiled.method.state_dict()) == list(plain.method.state_dict())
    assert list(compiled.ema.state_dict()) == list(plain.ema.state_dict())


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # the compiler's own, which it would not let through
@pytest.mark.parametrize("method", ["cut", *(pytest.param(m, marks=pytest.mark.slow) for m in METHODS if m != "cut")])
def test_traced_blocks_compute_the_same(method: str, tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "BACKEND", "aot_eager_decomp_partition")  # inductor, but for its C++
    torch._dynamo.reset()
    agree(tiny, method)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0
    assert not torch._dynamo.utils.counters["graph_break"]


@pytest.mark.filterwarnings("ignore")  # what inductor says while it tries things out
@pytest.mark.slow
def test_compiled_blocks_compute_the_same(tiny: Any) -> None:
    torch._dynamo.reset()
    agree(tiny, "cyclegan")


def test_no_compiler_is_one_line(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(ConfigError, match="needs a C\\+\\+ compiler"):
        Learner(tiny("cyclegan", "train.compile=true"), 1)


def test_it_excludes_checkpointing(tiny: Any) -> None:
    with pytest.raises(ConfigError, match="exclude each other"):
        tiny("cyclegan", "train.compile=true", "train.checkpointing=true")


@pytest.mark.parametrize(
    ("device", "length", "seconds", "chosen"),
    [
        (CPU, "9 epochs", 0.1, False),
        (GPU, "99 steps", 0.1, False),
        (GPU, "9 epochs", 0.1, True),
        (GPU, "9 epochs", 0.95, False),
    ],
)
def test_auto_compiles_where_it_pays(
    device: torch.device, length: str, seconds: float, chosen: bool, tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settle, "seconds_per_step", lambda config, device: seconds if config.train.compile else 1.0)
    config = tiny("cyclegan", "train.compile=auto", f"train.length={length}", "train.decay=1 step")
    assert settled(config, device, DistInfo())[0].train.compile is chosen


def test_a_run_keeps_what_was_chosen(tiny: Any) -> None:
    config = tiny("cyclegan", "train.compile=auto")
    Path(config.run).mkdir()
    (Path(config.run) / "config.yaml").write_text("train: {compile: true}\n")
    assert load_config(config.run).train.compile is True
    assert settled(config, CPU, DistInfo())[0].train.compile is True
