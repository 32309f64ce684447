"""What to try next, from what a run's logs and scores say: plain words, and the command to type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from viceversa.engine.run_dir import RunRecord
from viceversa.report.scores import RunScore, best
from viceversa.report.settings import shell

SLOPE = 0.02  # of its whole change; a score that improved more in the last quarter has not levelled off


@dataclass(frozen=True)
class Advice:
    """A sentence and perhaps a command."""

    text: str
    command: str = ""


def advice(record: RunRecord, histories: Sequence[Sequence[RunScore]]) -> list[Advice]:
    """Return what to try, the most pressing first; findings of the doctor stand above it on the page."""
    run, finished = str(record.run), record.ended == "finished"
    found = []
    if not finished:
        found.append(Advice("The training is not complete. If it has stopped, continue it:", shell("train", run)))
    worse = [history[-1].way for history in histories if history[-1].beats_input is False]
    if worse:
        found.append(Advice(_worse(" and ".join(dict.fromkeys(worse)))))
    found += _earlier(histories)
    if finished and any(map(_rising, histories)):
        text = "The scores were still improving at the end. Train longer:"
        found.append(Advice(text, shell("train", run, f"train.length={_twice(record)}")))
    if finished and not record.metrics:
        found.append(Advice("Measure it on all test images:", shell("evaluate", run)))
    if finished:
        found.append(Advice("Translate images of your own:", shell("translate", run, "PICTURES", "OUT")))
    return found


def _worse(directions: str) -> str:
    return (
        f"{directions}: the untranslated images score better than their translations. Look at the samples: if colours "
        "are inverted or the background is destroyed, keep more of the input (a larger method.identity, "
        "generator.mask=true); if hardly anything has changed yet, train longer."
    )


def _earlier(histories: Sequence[Sequence[RunScore]]) -> list[Advice]:
    """Say when a score was clearly better before the end."""
    found = []
    for history in histories:
        top, last = best(history), history[-1]
        span = max(s.value for s in history) - min(s.value for s in history)
        if abs(top.value - last.value) > max(0.1 * span, 2 * (last.spread or 0)):
            then = f"was best at step {top.step:,} ({top.value:.4g}, now {last.value:.4g})."
            found.append(Advice(f"{last.way}, {last.metric}: {then} A shorter training may do as well."))
    return found


def _rising(history: Sequence[RunScore]) -> bool:
    """Whether a score got better in the last quarter of the training, by a part of all it ever did."""
    if len(history) < 4:
        return False
    before = [score for score in history if score.step <= 0.75 * history[-1].step][-1]
    gained = abs(history[-1].value - before.value)
    return history[-1].better_than(before) and gained > SLOPE * abs(history[-1].value - history[0].value)


def _twice(record: RunRecord) -> str:
    length = record.config.train.length
    return f"{2 * length.amount} {length.unit}"
