"""Variants of a preset, trained one after the other: the same command again goes on where it stopped."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from viceversa import engine, methods
from viceversa.config import Config, ConfigError, load_words
from viceversa.config.load import TEXTS
from viceversa.report.compare import compare


@dataclass
class Outcome:
    """What became of a sweep: the runs that were trained, and why the others were not."""

    page: Path
    trained: list[Path] = field(default_factory=list)
    failed: dict[Path, str] = field(default_factory=dict)


def variants(words: Sequence[str]) -> dict[str, Config]:
    """Return a configuration for every combination of values: `train.lr=1e-4,2e-4` has two.

    Their runs lie in the folder that run= names. Raises ConfigError if nothing varies or a variant is impossible.
    """
    choices = [list(_choices(word)) for word in words]
    varying = [number for number, choice in enumerate(choices) if len(choice) > 1]
    if not varying:
        raise ConfigError("nothing varies; give a key several values: viceversa sweep cyclegan method.identity=0,0.5")
    found = {}
    for combination in itertools.product(*choices):
        name = "_".join(_name(combination[number]) for number in varying)
        found[name] = methods.complete(load_words([*combination, f"run={_folder(combination) / name}"]))
        methods.check(found[name])
    return found


def _name(word: str) -> str:
    """Return a name for a folder: `method.identity=0.5` is identity-0.5."""
    key, _, value = word.partition("=")
    return f"{key.rpartition('.')[2]}-{re.sub(r'[^0-9A-Za-z_.+-]+', '-', value).strip('-')}"


def _folder(words: Sequence[str]) -> Path:
    """Return where all variants lie: the folder that run= names, or runs/sweep-METHOD-DATA."""
    run = Path(load_words(words).run or "runs/sweep")
    return run if any(word.startswith("run=") for word in words) else run.with_name(f"sweep-{run.name}")


def sweep(words: Sequence[str], say: Callable[[str], None]) -> Outcome:
    """Train every variant and write compare.html beside their folders.

    A variant that cannot go on (a ValueError, such as for a loss that is no number) does not keep the others from it.
    """
    configs = variants(words)
    outcome = Outcome(Path(next(iter(configs.values())).run).parent / "compare.html")
    for number, (name, config) in enumerate(configs.items(), 1):
        say(f"{name} ({number} of {len(configs)})")
        try:
            outcome.trained.append(engine.train(config))
        except ValueError as error:
            outcome.failed[Path(config.run)] = str(error)
    if len(outcome.trained) > 1:
        compare(outcome.trained, outcome.page)
    return outcome


def _choices(word: str) -> Iterator[str]:
    """Yield key=value for every value between commas that are not inside brackets; text keys have one value."""
    key, equals, text = word.partition("=")
    if not equals or key in TEXTS:
        yield word
        return
    depth, start = 0, 0
    for place, letter in enumerate(text):
        depth += (letter in "[{") - (letter in "]}")
        if letter == "," and depth == 0:
            yield f"{key}={text[start:place]}"
            start = place + 1
    yield f"{key}={text[start:]}"
