from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from viceversa.data.image_io import read_image, write_image
from viceversa.nets import build_generator
from viceversa.nets.weights import Card, save_generator
from viceversa.translate import How, Outcome, Wanted, choice, translate_pictures, work
from viceversa.translate.choice import Tried, fastest
from viceversa.translator import Translator

SPEC = {"name": "resnet", "width": 8, "blocks": 1}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "AtoB.safetensors"
    torch.manual_seed(0)
    net = build_generator(SPEC, 3, 3, size=32)
    save_generator(path, net, Card(SPEC, 3, 3, 32, "AtoB", "running", {}))
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twelve pictures of two sizes, in turns; the fourth is broken."""
    for number in range(12):
        pixels = np.random.default_rng(number).integers(0, 256, (32, 32 + 8 * (number % 2), 3), np.uint8)
        write_image(tmp_path / "in" / f"{number:02}.png", pixels)
    (tmp_path / "in" / "03.png").write_bytes(b"no picture")
    return tmp_path / "in"


def go(weights: Path, photos: Path, out: str = "out", **options: object) -> Outcome:
    return translate_pictures(weights, str(photos), photos.parent / out, device="cpu", **options)  # type: ignore[arg-type]


# --- the pipeline, with real pictures


def test_a_broken_picture_is_noted_and_order_is_kept(weights: Path, photos: Path) -> None:
    outcome = go(weights, photos)
    assert [path.stem for path in outcome.written] == [f"{n:02}" for n in range(12) if n != 3]
    assert list(outcome.failed) == [photos / "03.png"]
    assert outcome.files == 11
    assert outcome.route == ""


@pytest.mark.parametrize("batch", [2, 5, 20])
def test_a_picture_becomes_the_same_whatever_lies_beside_it(weights: Path, photos: Path, batch: int) -> None:
    alone, together = go(weights, photos, how=How(batch=1)), go(weights, photos, f"b{batch}", how=How(batch=batch))
    assert [path.name for path in alone.written] == [path.name for path in together.written]
    for one, other in zip(alone.written, together.written, strict=True):
        difference = read_image(one).pixels.astype(int) - read_image(other).pixels
        assert np.abs(difference).max() <= 1, "up to rounding"
        assert np.mean(difference != 0) < 1e-3


def test_batches_keep_within_their_room(weights: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    together = Translator.together
    monkeypatch.setattr(Translator, "together", lambda self, batch: seen.append(len(batch)) or together(self, batch))
    go(weights, photos, "large", how=How(batch=5))
    assert max(seen) == 5
    seen.clear()
    monkeypatch.setitem(work.PIXELS, "cpu", 3 * 32 * 32)
    go(weights, photos)
    assert max(seen) == 3
    seen.clear()
    monkeypatch.setitem(work.PIXELS, "cpu", 100)
    go(weights, photos, "small")
    assert set(seen) == {1}, "one that is larger is computed alone"


def test_a_full_disk_ends_in_one_line_and_leaves_nothing_half(
    weights: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *rest: object) -> None:
        if path.stem >= "06":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write_image(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(work, "write_image", full)
    with pytest.raises(OSError, match="No space left on device"):
        go(weights, photos, how=How(batch=1))
    found = sorted(path.name for path in (photos.parent / "out").iterdir())
    assert found == ["00.png", "01.png", "02.png", "04.png", "05.png"]
    monkeypatch.undo()
    again = go(weights, photos)
    assert (len(again.kept), len(again.written)) == (5, 6)


def test_interrupted_what_was_computed_is_written(weights: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    together = Translator.together
    seen = []

    def interrupted(self: Translator, batch: list) -> list:
        seen.append(batch)
        if len(seen) == 5:
            raise KeyboardInterrupt
        return together(self, batch)

    monkeypatch.setattr(Translator, "together", interrupted)
    with pytest.raises(KeyboardInterrupt):
        go(weights, photos, how=How(batch=1))
    found = sorted(path.name for path in (photos.parent / "out").iterdir())
    assert found == ["00.png", "01.png", "02.png", "04.png"]


def test_processes_share_the_pictures(weights: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for rank in (0, 1):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "2")
        outcome = go(weights, photos)
        assert [path.stem for path in outcome.written] == [f"{n:02}" for n in range(rank, 12, 2) if n != 3]


# --- routes


def test_a_route_is_taken_and_its_exactness_told(weights: Path, photos: Path) -> None:
    outcome = go(weights, photos, how=How("bf16"))
    name, decibels = outcome.route.split(":")
    assert name == "route bf16"
    assert 30 < float(decibels.split()[0]) < 80
    assert decibels.endswith("dB to eager on the first 2")
    eager = go(weights, photos, "eager")
    pairs = zip(outcome.written, eager.written, strict=True)
    off = [read_image(one).pixels.astype(int) - read_image(other).pixels for one, other in pairs]
    assert 0 < max(np.abs(x).max() for x in off) < 30
    (photos / "03.png").unlink()
    assert go(weights, photos, how=How("bf16")).route == "", "nothing to do, nothing to choose"


def test_auto_tries_only_where_it_pays_and_remembers(
    weights: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert go(weights, photos, "few", how=How("auto")).route == "route eager: too few pictures for a trial"
    monkeypatch.setattr(choice, "MANY", 12)
    monkeypatch.setattr(choice, "EXACT", 20)
    monkeypatch.setattr(choice, "measurable", lambda _: ["bf16"])
    monkeypatch.setattr(choice, "_seconds", lambda run, _: next(times))
    times = iter([3.0, 1.0])
    assert go(weights, photos, "many", how=How("auto")).route.endswith("on the first 2, 3.0 x as fast as eager")
    assert next(times, None) is None
    monkeypatch.setattr(choice, "MANY", 99)
    assert go(weights, photos, "again", how=How("auto")).route.startswith("route bf16: "), "remembered, so few will do"


def test_the_fastest_must_look_the_same_and_be_worth_it() -> None:
    eager, good, bad = Tried(1.0, float("inf")), Tried(0.5, 45.0), Tried(0.1, 44.9)
    assert fastest({}) == fastest({"eager": eager}) == fastest({"eager": eager, "onnx": Tried(0.95, 99)}) == "eager"
    assert fastest({"eager": eager, "bf16": good, "openvino": bad}) == "bf16"
    assert fastest({"eager": eager, "bf16": good, "openvino": Tried(0.4, 50)}) == "openvino"


def test_int8_sees_other_pictures_when_told(weights: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(12, 20):
        write_image(photos.parent / "more" / f"{number}.png", np.full((200, 300, 3), number, np.uint8))
    seen = {}
    with_backend = Translator.with_backend

    def spied(self: Translator, name: str, examples: list) -> Translator:
        seen[name] = examples
        return with_backend(self, "eager", examples)

    monkeypatch.setattr(Translator, "with_backend", spied)
    go(weights, photos, how=How("int8", photos.parent / "more"))
    assert [picture.pixels[0, 0, 0] for picture in seen["int8"]] == list(range(12, 20))
    assert {picture.pixels.shape for picture in seen["int8"]} == {(32, 32, 3)}, "no larger than a crop"
    go(weights, photos, "own", how=How("int8"))
    assert len(seen["int8"]) == 11


@pytest.mark.parametrize(
    ("how", "wanted", "message"),
    [
        (How("bf16"), Wanted(samples=2), "samples and walks are computed by route eager; leave --route away"),
        (How("bf16", Path("x")), Wanted(), "--calibrate goes with --route int8"),
    ],
)
def test_what_does_not_go_with_a_route_is_refused(
    how: How, wanted: Wanted, message: str, weights: Path, photos: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        go(weights, photos, how=how, wanted=wanted)
    assert not (photos.parent / "out").exists()
