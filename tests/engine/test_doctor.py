"""What the doctor finds in runs that are ill, and that it leaves the healthy ones alone."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support import read_lines
from viceversa import engine, methods, report
from viceversa.config import Config, flat, load_config, presets, to_tree, to_yaml
from viceversa.data import water2wine
from viceversa.data.image_io import read_image
from viceversa.engine.diagnostics import diagnose, examine, of_images, of_losses, update
from viceversa.engine.run_dir import RunDir
from viceversa.engine.sample_history import Key, write_samples
from viceversa.engine.symptoms import Case

HEALTHY = {"gan_G": 0.3, "gan_D_Y": 0.2, "gan_D_X": 0.21}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[np.ndarray]]:
    root = tmp_path_factory.mktemp("scenes")
    water2wine.make(root, size=64, count=1, test=6)
    files = {world: sorted((root / f"test{world}").iterdir()) for world in "AB"}
    return {world: [read_image(file).pixels for file in found] for world, found in files.items()}


def run_of(folder: Path, translations: dict[int, list[np.ndarray]], scenes: Any, losses: Any = HEALTHY) -> Config:
    """A run's folder with samples by step, and a log."""
    config = load_config("cyclegan", [f"run={folder}"])
    (folder / "samples").mkdir(parents=True)
    (folder / "config.yaml").write_text(to_yaml(config))
    for step, outputs in translations.items():
        shown = {("AtoB", "input"): scenes["A"], ("AtoB", "translation"): outputs}
        shown |= {("BtoA", "input"): scenes["B"], ("BtoA", "translation"): scenes["A"]}
        images = {Key(way, row, kind): p for (way, kind), pixels in shown.items() for row, p in enumerate(pixels)}
        write_samples(folder / "samples", step, images)
    lines = [json.dumps({"step": step, "losses": losses}) + "\n" for step in range(10, 10 + max(translations), 10)]
    (folder / "log.jsonl").write_text("".join(lines))
    return config


def bars(picture: np.ndarray) -> np.ndarray:
    pattern = 25 * (-1) ** np.arange(picture.shape[1])[None, :, None]
    return np.clip(picture.astype(int) + pattern, 0, 255).astype(np.uint8)


def repainted(pictures: list[np.ndarray]) -> list[np.ndarray]:
    """The same mean colour everywhere."""
    mean = pictures[0].mean((0, 1))
    return [np.clip(p - p.mean((0, 1)) + mean, 0, 255).astype(np.uint8) for p in pictures]


def grained(picture: np.ndarray) -> np.ndarray:
    grain = np.random.default_rng(0).normal(0, 40, picture.shape[:2])[:, :, None]
    return np.clip(picture + grain, 0, 255).astype(np.uint8)


def eyed(picture: np.ndarray) -> np.ndarray:
    """A black blob with a white light in it."""
    blobbed = picture.copy()
    blobbed[20:28, 20:28], blobbed[22:24, 22:24] = 0, 255
    return blobbed


ILL = {
    "inverted": lambda a, b: [255 - p for p in a],
    "copied": lambda a, b: a,
    "collapsed": lambda a, b: [b[0]] * len(b),
    "tinted": lambda a, b: [(p * np.array([1, 0.5, 1])).astype(np.uint8) for p in b],
    "striped": lambda a, b: [bars(p) for p in b],
    "one_palette": lambda a, b: repainted(b),
    "ignored": lambda a, b: [*b[1:], b[0]],
    "textured": lambda a, b: [grained(p) for p in b],
    "blotted": lambda a, b: [eyed(p) for p in b],
    "saturated": lambda a, b: [np.where(p > 127, 255, 0).astype(np.uint8) for p in b],
}


@pytest.mark.parametrize("ailment", ILL)
def test_every_ailment_of_pictures_is_found(ailment: str, scenes: Any, tmp_path: Path) -> None:
    run_of(tmp_path / "run", {0: scenes["A"], 100: ILL[ailment](scenes["A"], scenes["B"])}, scenes)
    found = {finding.finding: finding for finding in diagnose(tmp_path / "run")}
    assert f"{ailment} AtoB" in found
    finding = found[f"{ailment} AtoB"]
    assert (finding.since, finding.step) == (100, 100)
    assert finding.message
    assert finding.remedy
    assert (tmp_path / "run" / str(finding.picture)).is_file()
    assert not [name for name in found if name.endswith("BtoA")], "the other direction is well"


def test_a_healthy_run_is_left_alone(scenes: Any, tmp_path: Path) -> None:
    run_of(tmp_path / "run", {0: scenes["A"], 100: scenes["B"]}, scenes)
    assert diagnose(tmp_path / "run") == []


def test_since_when_and_that_a_cure_is_noticed(scenes: Any, tmp_path: Path) -> None:
    well, ill = scenes["B"], [255 - p for p in scenes["A"]]
    config = run_of(tmp_path / "run", {100: well, 200: ill, 300: ill}, scenes)
    run = RunDir(tmp_path / "run")
    assert [(f.since, f.step) for f in update(run, config, 200)] == [(200, 200)]
    assert [(f.since, f.step) for f in diagnose(run.path)] == [(200, 300)]
    assert update(run, config, 300) == []
    assert examine(run, config, 100) == []


@pytest.mark.parametrize(
    ("words", "losses", "found"),
    [
        (["cyclegan"], HEALTHY, []),
        (["cyclegan"], {**HEALTHY, "gan_D_Y": 0.01}, ["strong D_Y"]),
        (["cyclegan"], {**HEALTHY, "gan_D_X": 0.25}, ["blind D_X"]),
        (["cyclegan", "objective=hinge"], {"gan_D_X": 1.0, "gan_D_Y": 0.25}, ["blind D_X"]),
        (["cyclegan", "objective=wgan-gp"], {"gan_D_X": -20.0}, []),
        (["cyclegan-vae"], {"kl_G": 1e-6, "kl_F": 0.05}, ["empty codes G"]),
    ],
)
def test_losses_tell(words: list[str], losses: dict[str, float], found: list[str]) -> None:
    assert [finding.finding for finding in of_losses(losses, load_config(words[0], words[1:]))] == found


@pytest.mark.parametrize("preset", presets())
def test_every_remedy_is_one_that_the_run_can_take(preset: str, scenes: Any) -> None:
    """Options that exist there, with a value that is valid, and not the one it has."""
    config = methods.resolve(load_config(preset))
    inputs, targets = (np.stack(scenes[domain]) for domain in "AB")
    found = []
    for make in ILL.values():
        case = (image / np.float32(127.5) - 1 for image in (inputs, np.stack(make([*inputs], [*targets])), targets))
        found += of_images(Case(*case), config)
    chance = {"lsgan": 0.25, "hinge": 1.0}.get(str(config.objective["name"]), np.log(2))
    for losses in ({"gan_D": 0.0}, {"gan_D": chance}, {"kl_G": 0.0} if "kl" in config.method else {}):
        found += of_losses(losses, config)
    assert {finding.finding for finding in found} >= {*ILL, "strong D", "blind D"}
    for finding in found:
        assert finding.remedy
        for option in re.findall(r"[a-z]+\.[a-z]\w+(?:=\[.*?\]|=[\w.]+)?", finding.remedy):
            key, _, value = option.partition("=")
            assert key in flat(to_tree(config)), (finding.finding, key)
            assert not value or methods.resolve(load_config(preset, [option])) != config, (finding.finding, option)


def test_a_training_is_examined_as_it_goes(tiny: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """A tiny generator that is not trained at all copies nothing, but one with a closed mask does."""
    config = tiny("cyclegan", "generator.mask=true", "train.lr=1e-9", "train.samples=4", "train.sample_every=4 steps")
    engine.train(config)
    lines = read_lines(Path(config.run) / "doctor.jsonl")
    assert lines
    assert {line["step"] for line in lines} == {8}
    assert {line["since"] for line in lines} <= {4, 8}
    assert capfd.readouterr().out.count("doctor: ") >= len(lines)
    report.write(Path(config.run))
    assert lines[0]["remedy"].split(";")[0] in (Path(config.run) / "report.html").read_text("utf-8")
