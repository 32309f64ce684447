"""`python -m viceversa.studio.estimate WORDS`: how long a training takes here, by a few real steps."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def estimate(words: Sequence[str]) -> str:
    """Return a sentence about the training that the words of `viceversa train` mean. Raises ConfigError as it would."""
    from viceversa import methods
    from viceversa.config import flat, load_words, parse_override
    from viceversa.data import TrainLoader, find_splits
    from viceversa.devices import pick_device
    from viceversa.engine import budget
    from viceversa.engine.run_dir import RunDir
    from viceversa.report import duration

    config = methods.resolve(load_words(words))
    device = pick_device(config.train.device)
    if config.train.budget:
        fixed = {key for word in words if "=" in word for key in flat(parse_override(word))}
        _, said = budget.plan(config, RunDir(config.run), fixed, device)
        return f"In {config.train.budget} on this machine: {said.removeprefix('train.budget: ')}."
    splits = find_splits(config.data)
    seconds = budget.step_seconds(config, splits, device)
    steps = config.train.length.steps(TrainLoader(splits, config).steps_per_epoch())
    return f"{steps:,} steps of {seconds:.2g} s: about {duration(steps * seconds)} on this machine, as busy as it is."


if __name__ == "__main__":
    try:
        print(estimate(sys.argv[1:]))
    except (ValueError, OSError) as error:
        sys.exit(str(error))
