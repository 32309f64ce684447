"""Training steps of the original implementations, in float64 with plain SGD, against ours.

Every .pt beside which lies a .json of its name: the preset and options that do the same, our name of each network, and
of each loss that is the same number.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from golden_files import golden_files
from torch import Tensor

from viceversa import methods
from viceversa.config import load_config
from viceversa.engine.learner import Learner
from viceversa.interop import convert_original
from viceversa.losses.contrastive import patch_nce
from viceversa.methods import cut

OURS = Path(__file__).parents[1] / "golden"
EXACT = ["train.precision=fp64", "train.optimizer=sgd", "train.schedule=constant"]


def network(state: dict[str, Tensor], theirs: str, ours: str) -> dict[str, Tensor]:
    """One network of a golden file, under our keys."""
    mine = {key.removeprefix(f"{theirs}."): value for key, value in state.items() if key.startswith(f"{theirs}.")}
    if ours == "H":  # the projection heads of CUT
        return {key.replace("mlp_", "heads."): value for key, value in mine.items()}
    return convert_original(mine)[1]


def learner_from(golden: dict[str, Any], card: dict[str, Any]) -> Learner:
    a, b = (golden["batches"][0][domain] for domain in "AB")
    words = [f"train.lr={golden['sgd_learning_rate']}", f"train.batch={len(a)}"]
    words += [f"data.load={a.shape[-1]}", f"data.crop={a.shape[-1]}"]
    words += [f"data.channels_a={a.shape[1]}", f"data.channels_b={b.shape[1]}"]
    config = load_config(card["preset"], [*EXACT, *words, *card["options"]])
    learner = Learner(methods.resolve(config), steps_per_epoch=1)
    for theirs, ours in card["networks"].items():
        getattr(learner.method, ours).load_state_dict(network(golden["before"], theirs, ours))
    return learner


@pytest.mark.parametrize("path", golden_files(".pt", ".json"), ids=lambda path: path.stem)
def test_steps_arrive_where_the_original_does(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    golden, card = torch.load(path, weights_only=True), json.loads(path.with_suffix(".json").read_text("utf-8"))
    drawn = iter(golden.get("patch_ids_in_order_drawn", []))  # the only random numbers in these steps
    monkeypatch.setattr(cut, "draw_positions", lambda feature, count: next(drawn))
    learner = learner_from(golden, card)
    for batch, expected in zip(golden["batches"], golden["losses"], strict=True):
        found = learner.train_step(batch)
        for theirs, ours in card["losses"].items():
            assert found[ours].item() == pytest.approx(float(expected[theirs]), rel=1e-8), theirs
    for theirs, ours in card["networks"].items():
        after = getattr(learner.method, ours).state_dict()
        for key, wanted in network(golden["after"], theirs, ours).items():
            if wanted.is_floating_point():
                assert (after[key] - wanted).norm() <= 1e-8 * wanted.norm() + 1e-12, f"{ours}.{key}"
    assert next(drawn, None) is None


def test_patch_nce_is_the_originals() -> None:
    golden = {key: torch.from_numpy(value) for key, value in np.load(OURS / "patchnce_batch2_patches16.npz").items()}
    query, key = (golden[name].reshape(2, 16, 32) for name in ("query", "key"))
    found = patch_nce(query, key, temperature=float(golden["temperature"]), negatives="image")
    assert torch.allclose(found, golden["loss_per_query"], rtol=1e-6, atol=1e-6)
