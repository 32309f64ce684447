"""The presets: each is what its paper or its source says, can be built, and trains."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from viceversa import engine, methods
from viceversa.config import Config, flat, load_config, parse_yaml, presets, to_tree
from viceversa.data import water2wine
from viceversa.methods import METHODS
from viceversa.translator import Translator

CUT = {
    **{"method.patches": 256, "method.temperature": 0.07, "method.head_width": 256, "method.pool": 0},
    **{"method.detach": True, "method.negatives": "image", "method.contrast": "infonce", "method.query": "random"},
    **{"method.layers": ["input", "down1", "down2", "block1", "block5"], "objective.name": "lsgan"},
    **{"generator.name": "resnet", "generator.width": 64, "generator.blocks": 9, "generator.antialias": True},
    **{"generator.upsample": "blur", "generator.dropout": 0, "discriminator.name": "patchgan"},
    **{"discriminator.width": 64, "discriminator.layers": 3, "discriminator.antialias": True},
    **{"discriminator.norm": "instance", "init.scheme": "xavier", "init.gain": 0.02, "train.schedule": "linear"},
    **{"train.lr": 2e-4, "train.betas": [0.5, 0.999], "train.batch": 1, "data.load": 286, "data.crop": 256},
    **{"data.flip": True, "data.decay_crop": False},
}
SOURCE_001 = {
    **{"method.identity": 0, "method.pool": 50, "generator.blocks": 9, "train.batch": 1},
    **{"train.length": "200 epochs", "train.decay": "100 epochs"},
}
FACTS: dict[str, dict[str, Any]] = {
    "cyclegan": {
        **{"method.cycle_x": 10, "method.cycle_y": 10, "method.identity": 0.5, "method.pool": 50, "method.content": 0},
        **{"generator.name": "resnet", "generator.width": 64, "generator.blocks": 9, "generator.norm": "instance"},
        **{"generator.upsample": "transposed", "generator.dropout": 0, "generator.mask": False},
        **{"generator.antialias": False, "generator.output_norm": False, "discriminator.width": 64},
        **{"discriminator.layers": 3, "objective.name": "lsgan", "init.scheme": "normal", "init.gain": 0.02},
        **{"train.length": "200 epochs", "train.decay": "100 epochs", "train.batch": 1, "train.optimizer": "adam"},
        **{"train.lr": 2e-4, "train.betas": [0.5, 0.999], "train.schedule": "linear"},
        **{"data.load": 286, "data.crop": 256, "data.flip": True},
    },
    "pix2pix": {
        **{"method.name": "pix2pix", "method.direction": "AtoB", "method.l1": 100, "generator.name": "unet"},
        **{"generator.width": 64, "generator.depth": 8, "generator.norm": "batch", "generator.dropout": 0.5},
        **{"discriminator.norm": "batch", "discriminator.layers": 3, "objective.name": "vanilla"},
        "inference": "image",
    },
    "cut": {
        **CUT,
        **{"method.nce": 1, "method.nce_identity": True, "method.flip_equivariance": False},
        **{"train.length": "400 epochs", "train.decay": "200 epochs"},
    },
    "fastcut": {
        **CUT,
        **{"method.nce": 10, "method.nce_identity": False, "method.flip_equivariance": True},
        **{"train.length": "200 epochs", "train.decay": "50 epochs"},
    },
    "photo2anime-vae": {
        **{"method.cycle_x": 9, "method.cycle_y": 10, "method.identity": 0, "method.kl": 1.1, "method.kl_on": "all"},
        **{"method.cross_reconstruction": 0, "method.reconstruction": 1, "generator.name": "resnet_vae"},
        **{"generator.latent": 256, "generator.norm": "batch", "generator.blocks": 6, "generator.width": 64},
        **{"generator.downs": 3, "discriminator.norm": "batch", "init.scheme": "xavier", "data.crop": 128},
        **{"data.load": 140, "train.batch": 16, "train.length": "100 epochs", "train.decay": "50 epochs"},
        **{"train.lr": 1e-4, "train.betas": [0.65, 0.999]},
    },
    "facades-pix2pix": {
        **{"method.name": "pix2pix", "method.direction": "BtoA", "method.l1": 100, "train.batch": 8},
        **{"train.schedule": "constant", "objective.name": "vanilla"},
    },
    "facades-cyclegan": SOURCE_001,
    "ani2photo-cyclegan": {
        **SOURCE_001,
        **{"method.content": 5, "method.content_pool": 1, "method.content_blur": False},
    },
    "ani2photo-cut": {
        **{"method.pool": 0, "method.patches": 256, "train.length": "400 epochs", "init.scheme": "normal"},
        **{"generator.antialias": False, "generator.upsample": "transposed"},
    },
    "horse2zebra-cyclegan": {
        **{"train.precision": "fp16", "train.length": "10 epochs", "train.batch": 1, "data.flip": False}
    },
    "face2anime-lite": {"data.crop": 128, "discriminator.layers": 3, "discriminator.tail": False, "method.pool": 50},
}


@pytest.mark.parametrize("name", FACTS)
def test_a_preset_is_as_the_paper_or_the_source_has_it(name: str) -> None:
    config = flat(to_tree(methods.resolve(load_config(name))))
    assert {key: config[key] for key in FACTS[name]} == FACTS[name]


@pytest.mark.parametrize("name", presets())
def test_every_preset_can_be_built_and_says_what_it_is(name: str) -> None:
    methods.check(methods.resolve(load_config(name)))
    title = presets()[name].read_text("utf-8").splitlines()[0]
    assert title.startswith("# ")
    assert 20 < len(title) < 102
    assert title.endswith(".")


@pytest.mark.parametrize("name", presets())
def test_presets_only_say_what_is_so(name: str) -> None:
    """A value in a preset is the value of the configuration: nothing in the file is lost."""
    config, named = flat(to_tree(load_config(name))), flat(parse_yaml(presets()[name].read_text(), name))
    assert named.items() <= {**config, **{key.removesuffix(".name"): config[key] for key in config}}.items()


# --- each trains: its own method, networks and precision, on pictures and networks of a smaller size

SIZES = {"width": 4, "depth": 5, "latent": 4}
SMALLER = ["generator.width", "generator.depth", "generator.latent", "generator.blocks", "discriminator.width", "run"]
SMALLER += [f"data.{key}" for key in ("root", "a", "b", "layout", "paired_test", "load", "crop", "workers")]
SMALLER += [f"train.{key}" for key in ("batch", "length", "decay", "samples", "device")]
SMALLER += [f"train.{key}" for key in ("log_every", "sample_every", "save_every")]


@pytest.fixture(scope="module")
def domains(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("domains")
    water2wine.make(root, size=40, count=3, test=3)
    return root


def shrunk(name: str, domains: Path, run: Path) -> Config:
    """The preset with two steps, two pictures a step at most, and small networks; nothing else differs."""
    preset = methods.resolve(load_config(name))
    pairs = METHODS[preset.method["name"]].needs_pairs
    paired = [f"data.a={domains / 'testA'}", f"data.b={domains / 'testB'}", "data.layout=paired"]
    words = [*paired, "data.paired_test=false"] if pairs else [f"data.root={domains}"]
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
def test_every_preset_trains_two_steps(name: str, domains: Path, tmp_path: Path) -> None:
    engine.train(shrunk(name, domains, tmp_path))
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text("utf-8").splitlines()]
    assert [line["step"] for line in lines] == [1, 2]
    assert all(math.isfinite(value) for line in lines for value in line["losses"].values())
    assert lines[0]["losses"] != lines[1]["losses"]
    Translator.load(tmp_path)
