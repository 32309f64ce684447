"""The precision follows a rule; compiled blocks train the same, under the same keys."""

from typing import Any

import pytest
import torch

from viceversa import devices, engine
from viceversa.config import ConfigError, load_config
from viceversa.engine import learner as learning
from viceversa.engine.learner import Learner
from viceversa.methods import METHODS

CPU = torch.device("cpu")


def losses(learner: Learner) -> dict[str, float]:
    """Take two steps and return the losses of the second."""
    images = torch.rand(2, 2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for a, b in images.split(1, dim=1):
        found = learner.train_step({"A": a, "B": b})
    return {name: loss.item() for name, loss in found.items()}


def agree(tiny: Any, method: str) -> None:
    """Compare with SGD: Adam would make full steps of rounding noise."""
    shared = ["train.optimizer=sgd", "train.precision=fp32", "train.channels_last=false"]
    plain, compiled = (Learner(tiny(method, *shared, f"train.compile={choice}"), 1) for choice in ("false", "true"))
    assert losses(compiled) == pytest.approx(losses(plain), rel=1e-4, abs=1e-5)
    assert list(compiled.method.state_dict()) == list(plain.method.state_dict())
    assert list(compiled.ema.state_dict()) == list(plain.ema.state_dict())


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # the compiler's own, which it would not let through
@pytest.mark.parametrize("method", ["cut", *(pytest.param(m, marks=pytest.mark.slow) for m in METHODS if m != "cut")])
def test_traced_blocks_compute_the_same(method: str, tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "COMPILER", "aot_eager_decomp_partition")  # inductor, but for its C++
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


AUTO = ["train.precision=auto", "train.channels_last=auto"]


@pytest.mark.parametrize(
    ("words", "bf16", "expected"),
    [
        (AUTO, True, ("bf16", True)),
        (AUTO, False, ("fp32", False)),
        ([*AUTO, "train.precision=fp16"], False, ("fp16", True)),
        ([*AUTO, "train.precision=fp32"], True, ("fp32", False)),
        ([*AUTO, "train.channels_last=true"], False, ("fp32", True)),
    ],
)
def test_precision_follows_a_rule(
    words: list[str], bf16: bool, expected: tuple[str, bool], tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "multiplies_bf16", lambda device: bf16)
    config, said = devices.choose_precision(tiny("cyclegan", *words), CPU)
    assert (config.train.precision, config.train.channels_last) == expected
    assert expected[0] in said


def test_a_run_keeps_its_precision(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on another machine."""
    length = ["train.decay=0 steps", "train.schedule=constant"]
    monkeypatch.setattr(devices, "multiplies_bf16", lambda device: True)
    engine.train(tiny("cyclegan", *AUTO, *length, "train.length=1 step"))
    monkeypatch.setattr(devices, "multiplies_bf16", lambda device: False)
    config = tiny("cyclegan", *AUTO, *length, "train.length=2 steps")
    engine.train(config)
    assert load_config(config.run).train.precision == "bf16"
