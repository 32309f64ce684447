"""What to type next, and how a run's configuration differs from a preset."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from viceversa import methods
from viceversa.config import Config, flat, load_config, meanings, presets, to_tree
from viceversa.engine.run_dir import RunRecord
from viceversa.report.scores import RunScore

WORSE = (
    "the untranslated images score better than their translations. Look at the samples: if colours are inverted or the "
    "background is destroyed, keep more of the input (a larger method.identity, generator.mask=true); if hardly "
    "anything has changed yet, train longer."
)


def advice(record: RunRecord, scores: Sequence[RunScore]) -> list[tuple[str, str]]:
    """Return what to try, the most pressing first: a sentence, and the command to type or nothing."""
    run, found = str(record.run), list[tuple[str, str]]()
    if record.ended != "finished":
        found.append(("The training is not complete. If it has stopped, continue it:", shell("train", run)))
    if worse := dict.fromkeys(score.way for score in scores if score.beats_input is False):
        found.append((f"{' and '.join(worse)}: {WORSE}", ""))
    if record.ended == "finished":
        length = record.config.train.length
        if not record.metrics:
            found.append(("Measure it on all test images:", shell("evaluate", run)))
        found.append(("Translate images of your own:", shell("translate", run, "PICTURES", "OUT")))
        longer = shell("train", run, f"train.length={2 * length.amount} {length.unit}")
        found.append(("If it was still getting better, train longer:", longer))
    return found


@lru_cache
def _known() -> dict[str, dict[str, object]]:
    return {name: flat(to_tree(methods.resolve(load_config(name)))) for name in presets()}


def nearest_preset(config: Config) -> tuple[str, dict[str, object]]:
    """Return the preset from which the fewest keys differ, and the values that it has there; not the run's folder."""
    own = flat(to_tree(config))
    found = {}
    for preset, values in _known().items():
        differing = [key for key in own if key != "run" and (key not in values or own[key] != values[key])]
        found[preset] = {key: values.get(key) for key in differing}
    nearest = min(found, key=lambda name: (len(found[name]), name))
    return nearest, found[nearest]


def differences(config: Config) -> list[tuple[str, str, str, str]]:
    """Return what is not as in the nearest preset: key, value here, value there, what the key means."""
    meaning, own = meanings(methods.describe(config)), flat(to_tree(config))
    return [
        (key, shown(own[key]), shown(there), meaning.get(key, "")) for key, there in nearest_preset(config)[1].items()
    ]


def shell(*words: str) -> str:
    """Return a viceversa command that can be pasted into a shell."""
    return shlex.join(["viceversa", *words])


def shown(value: Any) -> str:
    """Return a value as one would type it."""
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)
