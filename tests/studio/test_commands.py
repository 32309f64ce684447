"""What the studio's pages make of choices: words of commands, and forms of the configuration."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support import TINY
from viceversa.config import flat, load_config, to_tree
from viceversa.data import water2wine
from viceversa.studio.estimate import estimate
from viceversa.studio.form import ELSEWHERE, RECIPES, SIZES, TIMES, form_fields, length_words, size_words, train_words
from viceversa.studio.pictures import amounts


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("steps", [0, 60])
def test_every_recipe_size_and_time_is_a_configuration(name: str, steps: int) -> None:
    recipe = RECIPES[name]
    for size, time in zip(SIZES, TIMES, strict=False):
        words = train_words(
            recipe.preset, recipe.words, length_words(time, steps), size_words(size), changes={}, run="r"
        )
        config = load_config(words[1], words[2:])
        assert config.data.crop == size or not size
        assert (str(config.train.length) == "60 steps") if steps else (config.train.budget == time)


def test_a_later_value_replaces_an_earlier_one_and_nothing_is_split() -> None:
    words = train_words("style", ["data.a=my photos; rm x", "data.crop=64"], changes={"data.crop": "32"}, run="runs/a")
    assert words == ["train", "style", "data.a=my photos; rm x", "data.crop=32", "run=runs/a"]


@pytest.mark.parametrize("preset", ["style", "object", "pairs", "cyclegan-vae"])
def test_the_form_has_every_key_with_its_meaning(preset: str) -> None:
    from viceversa import methods

    fields = {field.key: field for field in form_fields(preset, ())}
    assert fields.keys() == flat(to_tree(methods.resolve(load_config(preset)))).keys() - ELSEWHERE
    without = {key for key, field in fields.items() if not field.meaning}
    assert not {key for key in without if not key.endswith(".name")}
    assert fields["data.flip"].is_switch
    assert "cosine" in fields["train.schedule"].choices
    assert "cut" in fields["method.name"].choices


def test_recipes_show_options_that_their_preset_has() -> None:
    for recipe in RECIPES.values():
        assert recipe.simple.keys() <= {field.key for field in form_fields(recipe.preset, recipe.words)}


@pytest.mark.parametrize(("steps", "few"), [(4, True), (60 * 32, False)])
def test_an_estimate_says_whether_the_steps_are_enough(tmp_path: Path, steps: int, few: bool) -> None:
    water2wine.make(tmp_path, size=32, count=2, test=1)
    said = estimate(["cyclegan", f"data.root={tmp_path}", *TINY, f"train.length={steps} steps", f"run={tmp_path}/run"])
    assert re.match(rf"{steps:,} steps: about \d", said)
    assert ("take 1,920 steps or more" in said) == few


@pytest.mark.parametrize(
    ("note", "numbers"),
    [
        ("unpaired: 196 A, 192 B; no test split: 5 % held out by name (8 A, 7 B)", ["196", "192", "8", "7"]),
        ("manifest: 10 pairs; test split: 3 pairs", ["10", "3"]),
        ("unpaired: 5 A, 4 B; no test split", ["5", "4"]),
    ],
)
def test_amounts_of_pictures(note: str, numbers: list[str]) -> None:
    assert re.findall(r"\d+", amounts(note)) == numbers
