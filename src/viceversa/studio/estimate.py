"""`python -m viceversa.studio.estimate WORDS`: how long a training takes here, by a few real steps."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence


def estimate(words: Sequence[str]) -> str:
    """Return what to expect of the training that the words of `viceversa train` mean; ConfigError as it raises."""
    from viceversa import methods
    from viceversa.config import flat, load_words, parse_override
    from viceversa.data import TrainLoader, find_splits
    from viceversa.devices import pick_device
    from viceversa.engine import budget
    from viceversa.engine.run_dir import RunDir
    from viceversa.report import duration

    config = methods.resolve(load_words(words))
    device, splits = pick_device(config.train.device), find_splits(config.data)
    if time := config.train.budget:
        fixed = {key for word in words if "=" in word for key in flat(parse_override(word))}
        config, _ = budget.plan(config, RunDir(config.run), fixed, device)
    seconds = budget.step_seconds(config, splits, device)
    steps = config.train.length.steps(TrainLoader(splits, config).steps_per_epoch())
    needed, size = budget.enough(config), config.data.crop

    def about(steps: int) -> str:
        return re.sub(r"(min) \d+ s$", r"\1", duration(steps * seconds))

    said = [f"In {time}: {steps:,} steps" if time else f"{steps:,} steps: about {about(steps)}"]
    said += [f" at {size} pixels on this machine, as busy as it is now."]
    if steps < needed:
        said += [f" Good pictures of this size take {needed:,} steps or more, about {about(needed)} here:"]
        said += [" take more time, or less detail." if size <= 64 else " take more time, or smaller pictures."]
    return "".join(said)


if __name__ == "__main__":
    try:
        print(estimate(sys.argv[1:]))
    except (ValueError, OSError) as error:
        sys.exit(str(error))
