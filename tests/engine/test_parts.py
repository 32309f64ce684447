"""Schedule, average, learner, report: the engine's parts by themselves."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from viceversa import engine, methods, train
from viceversa.config import TrainConfig, load_config
from viceversa.engine import Interrupt
from viceversa.engine.distributed import DistInfo
from viceversa.engine.ema import Ema
from viceversa.engine.learner import Learner
from viceversa.engine.optimizers import make_optimizer, rate, remembers_what_it_must
from viceversa.engine.run_log import Meter, rewind
from viceversa.nets import ResNetGenerator


def train_config(**changes: Any) -> TrainConfig:
    return load_config(None, [f"train.{key}={value}" for key, value in changes.items()]).train


STEPS = {"length": "6 steps", "decay": "3 steps"}
SCHEDULES = [
    # the originals', epochs counted from 1: 1 - max(0, epoch - n_epochs) / (n_epochs_decay + 1)
    ({"length": "5 epochs", "decay": "2 epochs"}, [1] * 9 + [2 / 3] * 3 + [1 / 3] * 3),
    (STEPS, [1, 1, 1, 0.75, 0.5, 0.25]),
    ({**STEPS, "schedule": "cosine"}, [1, 1, 1, 0.853553, 0.5, 0.146447]),
    ({**STEPS, "schedule": "step"}, [1, 1, 1, 0.1, 0.1, 0.1]),
    ({**STEPS, "schedule": "step", "step_every": "2 steps"}, [1, 1, 1, 0.1, 0.1, 0.01]),
    ({**STEPS, "schedule": "constant"}, [1] * 6),
]


@pytest.mark.parametrize(("options", "expected"), SCHEDULES)
def test_schedules(options: dict[str, str], expected: list[float]) -> None:
    train = train_config(**options)
    assert [rate(train, step, 3) for step in range(len(expected))] == pytest.approx(expected, abs=1e-6)


def test_a_memory_that_lacks_a_part_is_told() -> None:
    weights = [nn.Parameter(torch.ones(2, 3))]
    optimizer = make_optimizer(train_config(), weights, torch.device("cpu"))
    assert remembers_what_it_must(optimizer), "nothing yet"
    weights[0].grad = torch.ones(2, 3)
    optimizer.step()
    assert remembers_what_it_must(optimizer)
    moment = optimizer.state[weights[0]].pop("exp_avg_sq")
    assert not remembers_what_it_must(optimizer)
    optimizer.state[weights[0]]["exp_avg_sq"] = moment.t()
    assert not remembers_what_it_must(optimizer)


LAYOUTS = [torch.contiguous_format, torch.channels_last]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("incoming", LAYOUTS)
def test_adam_is_exact_in_every_layout(layout: torch.memory_format, incoming: torch.memory_format) -> None:
    torch.manual_seed(0)
    weight = torch.randn(8, 4, 3, 3)
    exact = nn.Parameter(weight.double())
    ours = nn.Parameter(weight.contiguous(memory_format=layout))
    reference = torch.optim.Adam([exact], 1e-2, betas=(0.5, 0.999), foreach=False)
    optimizer = make_optimizer(train_config(lr=1e-2, betas="[0.5,0.999]"), [ours], torch.device("cpu"))
    for _ in range(5):
        gradient, before = torch.randn(8, 4, 3, 3), ours._version
        exact.grad, ours.grad = gradient.double(), gradient.contiguous(memory_format=incoming)
        reference.step()
        optimizer.step()
        assert ours._version > before
    torch.testing.assert_close(ours.double(), exact, rtol=0, atol=1e-6)
    assert ours.is_contiguous(memory_format=layout)
    assert optimizer.state[ours]["exp_avg"].stride() == ours.stride()


def test_normalised_gradient_descent_takes_steps_of_one_length() -> None:
    weights = [nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(1))]
    for steepness in (1e-6, 1e3):
        before = torch.cat([w.detach().clone() for w in weights])
        optimizer = make_optimizer(train_config(optimizer="ngd", lr=0.5), weights, torch.device("cpu"))
        weights[0].grad, weights[1].grad = steepness * torch.tensor([2.0, 0, 0]), steepness * torch.tensor([2.0])
        optimizer.step()
        moved = torch.cat([w.detach() for w in weights]) - before
        assert moved.tolist() == pytest.approx([-0.5 * 0.5**0.5, 0, 0, -0.5 * 0.5**0.5])


def test_the_average_forgets_its_start_and_then_moves_slowly() -> None:
    net = ResNetGenerator(3, 3, width=4, blocks=1)
    average = Ema({"AtoB": net}, 0.9, "running")
    mine, theirs = average.translators()["AtoB"].head.bias, net.head.bias
    mine.data.zero_()
    theirs.data.fill_(1.0)
    average.update({"AtoB": net}, step=0)
    assert mine[0].item() == pytest.approx(0.9)  # decay 1/10
    average.update({"AtoB": net}, step=10_000)
    assert mine[0].item() == pytest.approx(0.91)  # decay 0.9
    Ema({"AtoB": net}, 0.0, "running").update({"AtoB": net}, step=5)


def test_the_rate_rises_at_first(tiny: Any) -> None:
    learner, rates = Learner(methods.resolve(tiny("pix2pix", "train.warm_up=2", "train.decay=0 steps")), 6), []
    for _ in range(3):
        learner.train_step({domain: torch.rand(1, 3, 32, 32) for domain in "AB"})
        rates.append(learner.lr)
    assert rates == pytest.approx([1e-4, 2e-4, 2e-4])


def test_weights_are_standardised_after_every_update(tiny: Any) -> None:
    learner = Learner(methods.resolve(tiny("cyclegan", "generator.norm=standardised", "generator.upsample=resize")), 6)
    for _ in range(2):
        weight = learner.method.G.blocks[0].conv1.weight
        torch.testing.assert_close(weight.sum((1, 2, 3)), torch.zeros(len(weight)), atol=1e-5, rtol=0)
        torch.testing.assert_close(weight.flatten(1).norm(dim=1), torch.full((len(weight),), 1.7))
        before = weight.clone()
        learner.train_step({domain: torch.rand(1, 3, 32, 32) for domain in "AB"})
        assert not torch.equal(weight, before)


def test_a_log_forgets_what_lies_beyond_the_checkpoint(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"ste')
    rewind(log, 2)
    assert log.read_text() == '{"step": 1}\n{"step": 2}\n'


def test_the_meter_gives_means_and_survives_a_checkpoint() -> None:
    meter, other = Meter(), Meter()
    meter.add({"a": torch.tensor(1.0), "b": torch.tensor(5.0)})
    other.load(meter.totals)
    other.add({"a": torch.tensor(2.0), "b": torch.tensor(7.0)})
    other.add({"a": torch.tensor(float("nan")), "b": torch.tensor(6.0)})
    assert other.means(DistInfo()) == {"a": 1.5, "b": 6.0}
    other = Meter()
    other.add({"a": torch.tensor(float("inf"))})
    assert other.means(DistInfo()) == {"a": None}


ALL = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1]


@pytest.fixture
def heard() -> Iterator[None]:
    """Signals are heard, also where the tests themselves run in the background."""
    before = {signum: signal.signal(signum, lambda *_: None) for signum in ALL}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.mark.usefixtures("heard")
def test_every_signal_is_a_request_to_stop_and_the_second_one_leaves_at_once() -> None:
    for signum in ALL:
        with Interrupt(lambda: None) as request:
            signal.raise_signal(signum)
        assert request.signum == signum
    heard: list[object] = []
    with Interrupt(lambda: heard.append("noted")) as request:
        signal.raise_signal(signal.SIGINT)
        assert (request.signum, heard) == (signal.SIGINT, ["noted"])
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    with Interrupt(lambda: None, alone=False) as request:
        for _ in range(2):  # torchrun passes it on
            signal.raise_signal(signal.SIGINT)
    assert heard == ["noted"]


def test_a_training_writes_its_report_and_survives_one_that_cannot_be_written(
    tiny: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny("cyclegan", "train.report=true", "train.sample_every=4 steps", run="paged")
    train(config)
    weights = {f"{way}{kind}.safetensors" for way in ("AtoB", "BtoA") for kind in ("", ".raw")}
    assert {path.name for path in (Path(config.run) / "weights").iterdir()} == weights
    html = (Path(config.run) / "report.html").read_text("utf-8")
    assert "8 of 8 steps" in html
    assert ">finished<" in html
    assert f"<dd>{torch.__version__}</dd>" in html
    config = tiny("cyclegan", "train.report=true", run="pageless")
    engine.train(config, write_report=lambda run: 1 / 0)
    assert "its report was not written (division by zero)" in capsys.readouterr().out.replace("\n", "")
    assert (Path(config.run) / "weights" / "AtoB.safetensors").is_file()
    quiet = tiny("cyclegan", run="quiet")
    train(quiet)
    assert not (Path(quiet.run) / "report.html").exists()
