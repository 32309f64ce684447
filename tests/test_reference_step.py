"""The step we measure against computes the same numbers as ours: the comparison is of speed alone."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from viceversa import methods
from viceversa.config import load_config
from viceversa.engine.learner import Learner

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
from reference import REFERENCES, Reference  # noqa: E402
from reference_nets import UNet, UNetLevel  # noqa: E402

SMALL = ["generator.width=4", "discriminator.width=4", "data.crop=32", "train.precision=fp64"]
RESNET = ["generator.blocks=6", *SMALL]
CASES = {
    "cyclegan": ["method.pool=2", *RESNET],
    "pix2pix": ["generator.depth=5", "generator.dropout=0", *SMALL],
    # every position is a patch: which are drawn does not matter
    "cut": ["method.patches=1444", "method.head_width=8", *RESNET],
    "fastcut": ["method.patches=1444", "method.head_width=8", "method.flip_equivariance=false", *RESNET],
}


def in_order(net: nn.Module) -> list[Tensor]:
    """The parameters of a reference network in the order of ours."""
    if not isinstance(net, UNet):
        return list(net.parameters())
    downs, ups = list(net.down.parameters()), list(net.up.parameters())
    level = net.inner
    while isinstance(level, UNetLevel):
        downs, ups, level = [*downs, *level.down.parameters()], [*level.up.parameters(), *ups], level.inner
    return [*downs, *ups]


def pair(preset: str) -> tuple[Learner, Reference]:
    """Our learner, and the reference with its weights."""
    learner = Learner(methods.resolve(load_config(preset, CASES[preset])), steps_per_epoch=100)
    reference = REFERENCES[learner.config.method["name"]](learner.config)
    for name, net in reference.networks().items():
        net.double()
        ours = list(getattr(learner.method, name).parameters())
        theirs = in_order(net)
        assert [p.shape for p in ours] == [p.shape for p in theirs]
        for a, b in zip(ours, theirs, strict=True):
            b.data.copy_(a)
    return learner, reference


@pytest.mark.parametrize("preset", CASES)
def test_both_steps_have_the_same_losses(preset: str) -> None:
    learner, reference = pair(preset)
    # A second step depends on the first's gradients. Those of CUT's reference are wrong where torch's instance norm
    # is (docs/cut.md), so there it is of no use.
    for step in range(1 if "cut" in preset else 2):
        x, y = torch.rand(2, 1, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(step)) * 2 - 1
        wanted = reference.step(x, y)
        found = learner.train_step({"A": x, "B": y})
        assert set(found) == set(wanted)
        for name in wanted:
            assert found[name].item() == pytest.approx(wanted[name].item(), rel=1e-7 if step == 0 else 1e-3), name


def test_a_step_is_measured() -> None:
    words = ["--preset", "fastcut", "--size", "32", "--steps", "1", "generator.width=4", "discriminator.width=4"]
    command = [sys.executable, BENCHMARKS / "step.py", *words, "--precision", "bf16", "--channels-last"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert [line.split()[0] for line in said.splitlines()] == ["fastcut,", "step", "times", "memory"]
