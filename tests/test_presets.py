from __future__ import annotations

import pytest

from viceversa import methods
from viceversa.config import (
    copy_preset,
    load_config,
    preset_text,
    preset_titles,
    presets,
    to_tree,
)
from viceversa.config.load import parse_yaml


@pytest.mark.parametrize("name", presets())
def test_every_preset_can_be_built_and_says_what_it_is(name: str) -> None:
    methods.check(methods.resolve(load_config(name)))
    title = preset_titles()[name]
    assert preset_text(name).startswith(f"# {title}\n")
    assert 20 < len(title) < 100
    assert title.endswith(".")


def test_cyclegan_is_the_papers() -> None:
    config = methods.resolve(load_config("cyclegan"))
    paper = {"name": "cyclegan", "cycle_x": 10, "cycle_y": 10, "identity": 0.5, "pool": 50}
    assert config.method == paper | {"content": 0, "content_blur": False, "content_pool": 1}
    generator = config.generator
    assert {generator[key] for key in ("mask", "antialias", "output_norm")} == {False}
    assert (generator["name"], generator["width"], generator["blocks"]) == ("resnet", 64, 9)
    assert (generator["norm"], generator["upsample"], generator["dropout"]) == ("instance", "transposed", 0)
    assert (config.discriminator["width"], config.discriminator["layers"]) == (64, 3)
    train = config.train
    assert (str(train.length), str(train.decay), train.batch) == ("200 epochs", "100 epochs", 1)
    assert (train.optimizer, train.lr, train.betas, train.schedule) == ("adam", 2e-4, (0.5, 0.999), "linear")
    assert config.objective["name"] == "lsgan"
    assert (config.data.load, config.data.crop, config.data.flip) == (286, 256, True)
    assert (config.init.scheme, config.init.gain) == ("normal", 0.02)


def test_pix2pix_is_the_papers() -> None:
    config = methods.resolve(load_config("pix2pix"))
    assert config.method == {"name": "pix2pix", "direction": "AtoB", "l1": 100}
    generator = {"name": "unet", "width": 64, "depth": 8, "norm": "batch", "dropout": 0.5}
    assert {key: config.generator[key] for key in generator} == generator
    assert (config.discriminator["norm"], config.discriminator["layers"]) == ("batch", 3)
    assert (config.objective["name"], config.inference) == ("vanilla", "image")


def test_a_preset_is_copied_and_nothing_overwritten(tmp_path) -> None:
    path = copy_preset("cyclegan", tmp_path)
    assert path == tmp_path / "cyclegan.yaml"
    assert load_config(path) == load_config("cyclegan")
    assert copy_preset("cyclegan", tmp_path / "new" / "mine.yaml").read_text() == path.read_text()
    with pytest.raises(FileExistsError, match="exists already"):
        copy_preset("pix2pix", path)
    assert path.read_text() == preset_text("cyclegan")


@pytest.mark.parametrize("name", presets())
def test_presets_only_say_what_is_so(name: str) -> None:
    """A value in a preset is the value of the configuration: nothing in the file is lost."""

    def inside(part: object, whole: object) -> bool:
        if isinstance(part, dict) and isinstance(whole, dict):
            return all(key in whole and inside(value, whole[key]) for key, value in part.items())
        return part == whole or (isinstance(whole, dict) and whole.get("name") == part)

    assert inside(parse_yaml(preset_text(name), name), to_tree(load_config(name)))
