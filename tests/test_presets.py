"""The presets: each is what its paper or its source says, can be built, and trains."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from viceversa import engine, methods
from viceversa.config import Config, flat, load_config, parse_yaml, presets, to_tree
from viceversa.methods import METHODS
from viceversa.translator import Translator

GOLDEN = Path(__file__).parent / "golden" / "presets.yaml"
SAID = parse_yaml(GOLDEN.read_text("utf-8"), "presets")
FACTS = [(name, flat(facts)) for names, facts in SAID.items() for name in names.split(", ")]


@pytest.mark.parametrize(("name", "facts"), FACTS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_preset_is_as_the_paper_or_the_source_has_it(name: str, facts: dict[str, Any]) -> None:
    config = flat(to_tree(methods.resolve(load_config(name))))
    assert {key: config[key] for key in facts} == facts


@pytest.mark.parametrize("name", presets())
def test_every_preset_can_be_built_and_says_what_it_is(name: str) -> None:
    methods.check(methods.resolve(load_config(name)))
    title = presets()[name].read_text("utf-8").splitlines()[0]
    assert title.startswith("# ")
    assert 20 < len(title) < 102
    assert title.endswith(".")
    config, named = flat(to_tree(load_config(name))), flat(parse_yaml(presets()[name].read_text(), name))
    assert named.items() <= {**config, **{key.removesuffix(".name"): config[key] for key in config}}.items(), (
        "all of it"
    )


# --- each trains: its own method, networks and precision, on pictures and networks of a smaller size

SIZES = {"width": 4, "depth": 5, "latent": 4}
SMALLER = ["generator.width", "generator.depth", "generator.latent", "generator.blocks", "discriminator.width", "run"]
SMALLER += [f"data.{key}" for key in ("root", "a", "b", "layout", "paired_test", "load", "crop", "workers")]
SMALLER += [f"train.{key}" for key in ("batch", "length", "decay", "samples", "device")]
SMALLER += [f"train.{key}" for key in ("log_every", "sample_every", "save_every")]


def shrunk(name: str, worlds: Path, run: Path) -> Config:
    """The preset with two steps, two pictures a step at most, and small networks; nothing else differs."""
    preset = methods.resolve(load_config(name))
    pairs = METHODS[preset.method["name"]].needs_pairs
    paired = [f"data.a={worlds / 'testA'}", f"data.b={worlds / 'testB'}", "data.layout=paired"]
    words = [*paired, "data.paired_test=false"] if pairs else [f"data.root={worlds}"]
    words += [f"generator.{key}={value}" for key, value in SIZES.items() if key in preset.generator]
    if "blocks" in preset.generator:
        words.append(f"generator.blocks={5 if preset.method['name'] == 'cut' else 2}")
    words += ["discriminator.width=4", f"train.batch={min(2, preset.train.batch)}"]
    cropped = preset.data.load > preset.data.crop
    words += [f"data.load={36 if cropped else 32}", "data.crop=32", "data.workers=0", f"run={run}", "train.device=cpu"]
    words += ["train.length=2 steps", "train.decay=0 steps", "train.samples=1"]
    words += [f"train.{key}=1 steps" for key in ("log_every", "sample_every", "save_every")]
    config = load_config(name, words)
    small, large = (flat(to_tree(methods.resolve(one))) for one in (config, preset))
    assert {key for key in small if small[key] != large[key]} <= set(SMALLER)
    return config


@pytest.mark.parametrize("name", presets())
def test_every_preset_trains_two_steps(name: str, worlds: Path, tmp_path: Path) -> None:
    engine.train(shrunk(name, worlds, tmp_path))
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text("utf-8").splitlines()]
    assert [line["step"] for line in lines] == [1, 2]
    assert all(math.isfinite(value) for line in lines for value in line["losses"].values())
    assert lines[0]["losses"] != lines[1]["losses"]
    Translator.load(tmp_path)
