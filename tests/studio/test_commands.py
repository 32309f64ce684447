"""What the studio's pages make of choices: words of commands, and forms of the configuration."""

from __future__ import annotations

import pytest

from viceversa.config import flat, load_config, to_tree
from viceversa.studio.form import ELSEWHERE, RECIPES, SIZES, TIMES, form_fields, length_words, size_words, train_words


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
