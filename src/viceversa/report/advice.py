"""What to try next, from what a run's logs and scores say: plain words, and the command to type."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from viceversa.report.facts import Facts
from viceversa.report.scores import Score, best

SLOPE = 0.02  # of its whole change; a score that moved more in the last quarter is not at its end yet


@dataclass(frozen=True)
class Advice:
    """A sentence and perhaps a command."""

    text: str
    command: str = ""


def advice(facts: Facts, histories: Sequence[Sequence[Score]]) -> list[Advice]:
    """Return what to try, the most pressing first; findings of the doctor stand above it on the page."""
    run = str(facts.run)
    found = []
    if facts.ended != "finished":
        found.append(
            Advice("It is not at its end. If it was stopped, this goes on where it stopped:", _shell("train", run))
        )
    worse = [history[-1].direction for history in histories if history[-1].beats is False]
    if worse:
        found.append(Advice(_worse(" and ".join(dict.fromkeys(worse)))))
    found += _earlier(histories)
    if facts.ended == "finished" and any(map(_rising, histories)):
        longer = f"train.length={_twice(facts)}"
        found.append(
            Advice("The scores were still getting better at the end. Train longer:", _shell("train", run, longer))
        )
    if facts.ended == "finished" and not facts.metrics:
        found.append(Advice("Measure it on all test pictures:", _shell("evaluate", run)))
    if facts.ended == "finished":
        found.append(Advice("Translate pictures of your own:", _shell("translate", run, "PICTURES", "OUT")))
    return found


def _worse(directions: str) -> str:
    return (
        f"{directions}: leaving the picture as it is would be better. Look at the pictures: if colours "
        "are inverted or the background is destroyed, keep more of the input (a larger method.identity, "
        "generator.mask=true); if nothing has changed yet, train longer."
    )


def _earlier(histories: Sequence[Sequence[Score]]) -> list[Advice]:
    """Say when a score was clearly better before the end."""
    found = []
    for history in histories:
        top, last = best(history), history[-1]
        span = max(s.value for s in history) - min(s.value for s in history)
        if abs(top.value - last.value) > max(0.1 * span, 2 * (last.spread or 0)):
            then = f"was best at step {top.step:,} ({top.value:.4g}, now {last.value:.4g})."
            found.append(Advice(f"{last.way}, {last.metric}: {then} A shorter training may do as well."))
    return found


def _rising(history: Sequence[Score]) -> bool:
    """Whether a score got better in the last quarter of the training, by a part of all it ever did."""
    if len(history) < 4:
        return False
    before = [score for score in history if score.step <= 0.75 * history[-1].step][-1]
    gained = abs(history[-1].value - before.value)
    return history[-1].better_than(before) and gained > SLOPE * abs(history[-1].value - history[0].value)


def _twice(facts: Facts) -> str:
    length = facts.config.train.length
    return f"{2 * length.amount} {length.unit}"


def _shell(*words: str) -> str:
    return shlex.join(["viceversa", *words])
