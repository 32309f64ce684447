"""Every preset trains: its own method, networks and precision, on pictures and networks of a smaller size."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest

from viceversa import engine, methods
from viceversa.config import Config, load_config, presets
from viceversa.data import water2wine
from viceversa.methods import METHODS
from viceversa.translator import Translator

SIZES = {"width": 4, "depth": 5, "latent": 4}


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("worlds")
    water2wine.make(root, size=40, count=3, test=3)
    return root


def shrunk(name: str, worlds: Path, run: Path) -> Config:
    """The preset with two steps, two pictures a step at most, and small networks; nothing else differs."""
    preset = methods.resolve(load_config(name))
    pairs = METHODS[preset.method["name"]].needs_pairs
    data = [f"data.a={worlds / 'testA'}", f"data.b={worlds / 'testB'}", "data.layout=paired", "data.paired_test=false"]
    words = data if pairs else [f"data.root={worlds}"]
    words += [f"generator.{key}={value}" for key, value in SIZES.items() if key in preset.generator]
    if "blocks" in preset.generator:
        words.append(f"generator.blocks={5 if preset.method['name'] == 'cut' else 2}")
    words += ["discriminator.width=4", f"train.batch={min(2, preset.train.batch)}"]
    cropped = preset.data.load > preset.data.crop
    words += [f"data.load={36 if cropped else 32}", "data.crop=32", "data.workers=0", f"run={run}", "train.device=cpu"]
    words += ["train.length=2 steps", "train.decay=0 steps", "train.samples=1"]
    words += [f"train.{key}=1 steps" for key in ("log_every", "sample_every", "save_every")]
    return load_config(name, words)


@pytest.mark.parametrize("name", presets())
def test_every_preset_trains_two_steps(name: str, worlds: Path, tmp_path: Path) -> None:
    config = shrunk(name, worlds, tmp_path)
    engine.train(config)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text("utf-8").splitlines()]
    assert [line["step"] for line in lines] == [1, 2]
    assert all(math.isfinite(value) for line in lines for value in line["losses"].values())
    assert lines[0]["losses"] != lines[1]["losses"]
    assert Translator.load(tmp_path).net is not None


@pytest.mark.parametrize("name", presets())
def test_only_sizes_were_made_smaller(name: str, worlds: Path, tmp_path: Path) -> None:
    def rest(config: Config) -> dict[str, Any]:
        tree = dataclasses.asdict(methods.resolve(config))
        for section, keys in {
            "generator": (*SIZES, "blocks"),
            "discriminator": ("width",),
            "data": ("root", "a", "b", "layout", "paired_test", "load", "crop", "workers"),
            "train": ("batch", "length", "decay", "samples", "log_every", "sample_every", "save_every", "device"),
        }.items():
            for key in keys:
                tree[section].pop(key, None)
        return tree | {"run": ""}

    assert rest(shrunk(name, worlds, tmp_path)) == rest(load_config(name))


def resolved(name: str) -> Config:
    return methods.resolve(load_config(name))


@pytest.mark.parametrize("name", ["cut", "fastcut"])
def test_cut_and_fastcut_are_the_papers(name: str) -> None:
    """The numbers of the authors' code, as facts A.6 lists them; the moving average alone is added."""
    config, fast = resolved(name), name == "fastcut"
    method = {"patches": 256, "temperature": 0.07, "head_width": 256, "pool": 0, "detach": True, "negatives": "image"}
    method |= {"nce": 10, "nce_identity": False} if fast else {"nce": 1, "nce_identity": True}
    method |= {"flip_equivariance": fast, "contrast": "infonce", "query": "random"}
    method["layers"] = ("input", "down1", "down2", "block1", "block5")
    assert {key: config.method[key] for key in method} == method
    generator = {"name": "resnet", "width": 64, "blocks": 9, "antialias": True, "upsample": "blur", "dropout": 0}
    assert {key: config.generator[key] for key in generator} == generator | {}
    judge = {"name": "patchgan", "width": 64, "layers": 3, "antialias": True, "norm": "instance"}
    assert {key: config.discriminator[key] for key in judge} == judge
    train = config.train
    assert (str(train.length), str(train.decay)) == (
        ("200 epochs", "50 epochs") if fast else ("400 epochs", "200 epochs")
    )
    assert (train.lr, train.betas, train.batch, train.schedule) == (2e-4, (0.5, 0.999), 1, "linear")
    assert (config.init.scheme, config.init.gain, config.objective["name"]) == ("xavier", 0.02, "lsgan")
    assert (config.data.load, config.data.crop, config.data.flip, config.data.decay_crop) == (286, 256, True, False)


def test_photo2anime_is_source_000s_command() -> None:
    """--lambda_identity 0 --latent_dim 256 --init_type xavier --norm bn --netG ResnetKVAE --crop_size 128 ..."""
    config = resolved("photo2anime-vae")
    method, train = config.method, config.train
    assert (method["cycle_x"], method["cycle_y"], method["identity"], method["kl"]) == (9, 10, 0, 1.1)
    assert (method["cross_reconstruction"], method["reconstruction"], method["kl_on"]) == (0, 1, "all")
    generator = {"name": "resnet_vae", "latent": 256, "norm": "batch", "blocks": 6, "width": 64, "downs": 3}
    assert {key: config.generator[key] for key in generator} == generator
    assert (config.init.scheme, config.discriminator["norm"], config.data.crop, config.data.load) == (
        "xavier",
        "batch",
        128,
        140,
    )
    assert (train.batch, str(train.length), str(train.decay)) == (16, "100 epochs", "50 epochs")
    assert (train.lr, train.betas) == (1e-4, (0.65, 0.999))


def test_source_001s_presets() -> None:
    facades, pictures = resolved("facades-pix2pix"), resolved("ani2photo-cyclegan")
    assert facades.method == {"name": "pix2pix", "direction": "BtoA", "l1": 100}
    assert (facades.train.batch, facades.train.schedule, facades.objective["name"]) == (8, "constant", "vanilla")
    assert (pictures.method["content"], pictures.method["content_pool"], pictures.method["content_blur"]) == (
        5,
        1,
        False,
    )
    for config in (pictures, resolved("facades-cyclegan")):
        assert (config.method["identity"], config.method["pool"], config.generator["blocks"]) == (0, 50, 9)
        assert (str(config.train.length), str(config.train.decay), config.train.batch) == (
            "200 epochs",
            "100 epochs",
            1,
        )
    contrast = resolved("ani2photo-cut")
    assert (contrast.method["pool"], contrast.method["patches"], str(contrast.train.length)) == (0, 256, "400 epochs")
    assert (contrast.init.scheme, contrast.generator["antialias"], contrast.generator["upsample"]) == (
        "normal",
        False,
        "transposed",
    )


def test_sources_002_and_003_have_their_marks() -> None:
    half, lite = resolved("horse2zebra-cyclegan"), resolved("face2anime-lite")
    assert (half.train.precision, str(half.train.length), half.train.batch, half.data.flip) == (
        "fp16",
        "10 epochs",
        1,
        False,
    )
    assert (lite.data.crop, lite.discriminator["map_size"], lite.method["pool"]) == (128, 16, 50)
    assert lite.generator["blocks"] < 6
    assert lite.generator["width"] < 64
