"""What to type: what to try next, the command that repeats a run, and how its configuration differs from a preset."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from viceversa import methods
from viceversa.config import Config, ConfigError, flat, load_config, meanings, parse_override, presets, to_tree
from viceversa.engine.run_dir import RunRecord
from viceversa.report.scores import RunScore, best

SLOPE = 0.02  # of its whole change; a score that improved more in the last quarter has not levelled off


def advice(record: RunRecord, histories: Sequence[Sequence[RunScore]]) -> list[tuple[str, str]]:
    """Return what to try, the most pressing first: a sentence, and the command to type or nothing."""
    run, finished = str(record.run), record.ended == "finished"
    found: list[tuple[str, str]] = []
    if not finished:
        found.append(("The training is not complete. If it has stopped, continue it:", shell("train", run)))
    worse = [history[-1].way for history in histories if history[-1].beats_input is False]
    if worse:
        found.append((_worse(" and ".join(dict.fromkeys(worse))), ""))
    found += _earlier(histories)
    if finished and any(map(_rising, histories)):
        length = record.config.train.length
        longer = shell("train", run, f"train.length={2 * length.amount} {length.unit}")
        found.append(("The scores were still improving at the end. Train longer:", longer))
    if finished and not record.metrics:
        found.append(("Measure it on all test images:", shell("evaluate", run)))
    if finished:
        found.append(("Translate images of your own:", shell("translate", run, "PICTURES", "OUT")))
    return found


def _worse(directions: str) -> str:
    return (
        f"{directions}: the untranslated images score better than their translations. Look at the samples: if colours "
        "are inverted or the background is destroyed, keep more of the input (a larger method.identity, "
        "generator.mask=true); if hardly anything has changed yet, train longer."
    )


def _earlier(histories: Sequence[Sequence[RunScore]]) -> list[tuple[str, str]]:
    """Say when a score was clearly better before the end."""
    found = []
    for history in histories:
        top, last = best(history), history[-1]
        span = max(s.value for s in history) - min(s.value for s in history)
        if abs(top.value - last.value) > max(0.1 * span, 2 * (last.spread or 0)):
            then = f"was best at step {top.step:,} ({top.value:.4g}, now {last.value:.4g})."
            found.append((f"{last.way}, {last.metric}: {then} A shorter training may do as well.", ""))
    return found


def _rising(history: Sequence[RunScore]) -> bool:
    """Whether a score got better in the last quarter of the training, by a part of all it ever did."""
    if len(history) < 4:
        return False
    before = [score for score in history if score.step <= 0.75 * history[-1].step][-1]
    gained = abs(history[-1].value - before.value)
    return history[-1].better_than(before) and gained > SLOPE * abs(history[-1].value - history[0].value)


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


def command(config: Config, run: str) -> str:
    """Return the shell command that trains the same into another folder."""
    own, (preset, differing) = flat(to_tree(config)), nearest_preset(config)
    return shell("train", preset, *(_word(key, own[key]) for key in differing), f"run={run}")


def shell(*words: str) -> str:
    """Return a viceversa command that can be pasted into a shell."""
    return " ".join(["viceversa", *map(_quoted, words)])


def _quoted(word: str) -> str:
    """Quote for the shell; bytes of a file's name that are not UTF-8 are spelled out: `$'caf\\xe9'`."""
    if not re.search("[\udc80-\udcff]", word):
        return shlex.quote(word)
    raw = re.sub("[\ud800-\udc7f\udd00-\udfff]", "?", word).encode("utf-8", "surrogateescape")
    letters = [chr(byte) if 32 <= byte < 127 and byte not in b"\\'" else f"\\x{byte:02x}" for byte in raw]
    return f"$'{''.join(letters)}'"


def _word(key: str, value: object) -> str:
    """Return key=value such that it is read as this very value."""
    word = f"{key}={shown(value)}"
    try:
        exact = value is None or flat(parse_override(word)) == {key: value}
    except ConfigError:
        exact = False
    return word if exact else f"{key}={json.dumps(value)}"


def shown(value: Any) -> str:
    """Return a value as one would type it."""
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)
