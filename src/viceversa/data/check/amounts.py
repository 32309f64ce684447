"""Facts about the worlds, and findings about how many pictures they have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from viceversa.data.check.findings import Finding, Severity, World
from viceversa.data.check.look import Look, Sight
from viceversa.data.check.survey import Survey

FEW, SOME = 100, 500  # unpaired: CycleGAN's authors suggest about 1000 a world, and had 400 to 1300
FEW_PAIRS, SOME_PAIRS = 50, 200  # pix2pix learns facades from 400
UNEVEN = 4  # times as many


def facts(survey: Survey) -> tuple[World, ...]:
    """Count sizes and modes, and take means, of each world."""
    worlds = []
    for name in "AB":
        looks = survey.sound(name)
        sizes = Counter(f"{look.size[0]}x{look.size[1]}" for look in looks if look.size)
        modes = Counter(look.mode for look in looks if look.mode)
        seen = sights(looks)
        means = {
            "brightness": [sight.brightness for sight in seen],
            "contrast": [sight.contrast for sight in seen],
            "border": [sight.border for sight in seen],
            **{c: [sight.colour[i] for sight in seen] for i, c in enumerate(("red", "green", "blue"))},
        }
        worlds.append(
            World(
                name,
                len(survey.looks["train", name]),
                len(survey.looks["test", name]),
                dict(sizes.most_common()),
                dict(modes.most_common()),
                {key: round(sum(values) / len(values), 1) for key, values in means.items() if values},
            )
        )
    return tuple(worlds)


def sights(looks: Sequence[Look]) -> list[Sight]:
    """Return what the pixels told, of the pictures that were decoded."""
    return [look.sight for look in looks if look.sight]


def enough(survey: Survey) -> Iterator[Finding]:
    """Say if the training pictures are few."""
    train = survey.source.train
    few, some = (FEW_PAIRS, SOME_PAIRS) if train.paired else (FEW, SOME)
    counts = {"pairs": len(train.a)} if train.paired else {"A": len(train.a), "B": len(train.b)}
    short = {name: count for name, count in counts.items() if count < some}
    if short and survey.source.layout != "single":
        named = ", ".join(f"{count} {name}" for name, count in short.items())
        usual = "pix2pix's facades are 400 pairs" if train.paired else "CycleGAN's authors suggest about 1000 a world"
        severity: Severity = "warning" if min(short.values()) < few else "note"
        remedy = "find more; else train on random crops (data.load well above data.crop), and watch the test pictures"
        yield Finding(severity, "few", f"few training pictures: {named} ({usual})", remedy)


def balance(survey: Survey) -> Iterator[Finding]:
    """Say if one world has many times the pictures of the other."""
    a, b = len(survey.source.train.a), len(survey.source.train.b)
    if max(a, b) >= UNEVEN * min(a, b):
        small, large, times = ("A", "B", b / a) if a < b else ("B", "A", a / b)
        what = (
            f"{large} has {times:.0f} times the pictures of {small}: each of {small} is seen {times:.0f} times an epoch"
        )
        yield Finding("warning" if times >= 3 * UNEVEN else "note", "balance", what, f"find more of {small}")
