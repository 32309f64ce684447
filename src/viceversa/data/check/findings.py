"""What can be wrong with a data set, but for copies: each check takes a survey and yields findings."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from viceversa.data.check.look import Look, Survey
from viceversa.data.datasets import FileSample
from viceversa.paths import is_hidden, list_files

FLAT = 1.0  # standard deviation of the channel that varies most, 0 to 255
DARK = 0.25  # of the range
TINY = 16  # pixels
FEW, SOME = 100, 500  # unpaired: CycleGAN's authors suggest about 1000 a domain, and had 400 to 1300
FEW_PAIRS, SOME_PAIRS = 50, 200  # pix2pix learns facades from 400
UNEVEN = 4  # times as many
ENLARGED = 1.25  # times; the papers enlarge 256 to 286 themselves
SQUEEZED = 1.25  # long over short side after which stretching shows
MANY = 0.1  # part of the images
APART, FAR_APART = 0.80, 0.95  # how often one number tells an image of A from one of B
ENOUGH = 8  # images, to say what is usual among them
BY_CHANCE = 0.60  # how often a partner must be more alike than a stranger, for pairs to be believed
SHIFTED = 0.02  # part of the side
SIDES = (512, 384, 256, 192, 128, 96, 64, 48, 32)
FOREIGN = frozenset({".heic", ".heif", ".jxl", ".svg", ".psd", ".ico", ".exr", ".hdr", ".cr2", ".nef", ".dng"})
"""Suffixes of images that are not read."""
TRAITS = {
    "animated": "of several frames, of which the first is read",
    "cmyk": "in CMYK, converted to RGB",
    "misnamed": "of another format than their names say",
    "stretched": "of numbers of no known range, stretched from the least to the greatest of each",
    "transparent": "transparent, laid on white unless the domain has 4 channels",
    "turned": "turned as their EXIF data say",
}

Severity: TypeAlias = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing worth knowing about a data set."""

    severity: Severity
    """error: training or its scores would suffer; warning: look at it; note: good to know."""
    kind: str
    """A word for programs, such as "broken"."""
    what: str
    remedy: str = ""
    groups: tuple[tuple[str, ...], ...] = ()
    """The files it is about, all of them; those together that belong together, as copies do."""

    @property
    def files(self) -> tuple[str, ...]:
        """The same files, one by one."""
        return tuple(dict.fromkeys(file for group in self.groups for file in group))


def of_groups(
    groups: Sequence[tuple[str, ...]], severity: Severity, kind: str, what: str, remedy: str
) -> Iterator[Finding]:
    """Yield a finding about groups of files, if there are any; `what` goes after "3 images". Each file counts once."""
    if groups:
        count = len({name for group in groups for name in group})
        yield Finding(severity, kind, f"{count} image{'s' * (count != 1)} {what}", remedy, tuple(groups))


def of_images(looks: Sequence[Look], severity: Severity, kind: str, what: str, remedy: str) -> Iterator[Finding]:
    """Yield a finding about some images, if there are any."""
    yield from of_groups([(look.name,) for look in looks], severity, kind, what, remedy)


def broken(survey: Survey) -> Iterator[Finding]:
    """Name what cannot be opened, and why."""
    looks = [look for look in survey.looks if look.error]
    reasons = Counter(look.error.removeprefix(f"{look.name}: ") for look in looks)
    named = "; ".join(f"{reason} ({count})" for reason, count in reasons.most_common(4)) + "; ..." * (len(reasons) > 4)
    remedy = "remove or replace them; training skips one in a hundred and stops at more"
    yield from of_images(looks, "error", "broken", f"cannot be read: {named}", remedy)


def plain(survey: Survey) -> Iterator[Finding]:
    """Name images that show nothing: of one colour, tiny, or too dark, as class indices and 12 of 16 bits are."""
    flat: list[Look] = []
    for domain in "AB":
        looks = survey.sound(domain)
        peak = max((look.peak for look in looks), default=1) or 1
        if dark := peak <= DARK:
            bits = round(65535 * peak).bit_length()
            deep = all(look.deep for look in looks) and bits > 8
            what = f"of {domain} use {100 * peak:.2g} % of the range: read as they are, they are nearly black"
            remedy = f"data.scale={bits}bit" if deep else "save them brighter; give class indices colours"
            yield from of_images(looks, "warning", "dark", what, remedy)
        flat += [look for look in looks if look.measures["contrast"] / (peak if dark else 1) < FLAT]
    what = "of a single colour: instance normalisation blows up on them (losses become NaN)"
    yield from of_images(flat, "error", "flat", what, "remove them")
    tiny = [look for look in survey.looks if 0 < min(look.size) < TINY]
    yield from of_images(tiny, "warning", "tiny", f"less than {TINY} pixels wide or high", "remove them")


def amounts(survey: Survey) -> Iterator[Finding]:
    """Say if the training images are few, or of one domain many times those of the other."""
    train = survey.splits.train
    a, b = len(train.a), len(train.b)
    few, some = (FEW_PAIRS, SOME_PAIRS) if train.paired else (FEW, SOME)
    if 1 < min(a, b) < some:  # a single image is meant to be one
        counts = f"{a} pairs" if train.paired else f"{a} A, {b} B"
        usual = "pix2pix's facades are 400 pairs" if train.paired else "CycleGAN's authors suggest about 1000 a domain"
        remedy = "find more; else train on random crops (data.load well above data.crop), and watch the test images"
        severity: Severity = "warning" if min(a, b) < few else "note"
        yield Finding(severity, "few", f"few training images: {counts} ({usual})", remedy)
    if max(a, b) >= UNEVEN * min(a, b):
        small, large, times = ("A", "B", b / a) if a < b else ("B", "A", a / b)
        what = f"{large} has {times:.0f} times the images of {small}: those are seen {times:.0f} times an epoch"
        yield Finding("warning" if times >= 3 * UNEVEN else "note", "balance", what, f"find more of {small}")


def sizes(survey: Survey) -> Iterator[Finding]:
    """Say if training enlarges images, or distorts shapes."""
    data, counts = survey.data, []
    wanted = data.crop if data.resize == "none" else data.load
    shorts = {domain: [min(look.size) for look in survey.sound(domain)] for domain in "AB"}
    for domain, sides in shorts.items():
        small = [side for side in sides if ENLARGED * side < wanted]
        if len(small) > MANY * len(sides):
            counts.append(f"{len(small)} of {len(sides)} {domain}, {wanted / median(small):.1f} times")
    if counts:
        least = min(median(sides) for sides in shorts.values() if sides)
        crop = next((side for side in SIDES if side <= least), SIDES[-1])  # half are no smaller
        what = f"small images are enlarged to {wanted} pixels: {', '.join(counts)}"
        yield Finding("warning", "enlarged", what, f"train smaller: data.load={crop * 9 // 8} data.crop={crop}")
    ratios = [max(look.size) / min(look.size) for look in survey.looks if not look.error]
    strong = [ratio for ratio in ratios if ratio > SQUEEZED]
    if data.resize == "stretch" and len(strong) > MANY * len(ratios):
        what = f"{len(strong)} of {len(ratios)} images are squeezed to a square (median 1 : {median(strong):.2f})"
        yield Finding("warning", "squeezed", what, "data.resize=short_side keeps shapes, and takes crops")


def gap(survey: Survey) -> Iterator[Finding]:
    """Say which single numbers already tell the domains apart. Of pairs the partner says what changes."""
    a, b = (survey.sound(domain) for domain in "AB")
    told: dict[str, float] = {}
    for name in a[0].measures if not survey.splits.train.paired and min(len(a), len(b)) >= ENOUGH else ():
        one, other = ([look.measures.get(name, 0) for look in looks] for looks in (a, b))
        if (share := separability(one, other)) >= APART:
            told[f"{name} {100 * share:.0f} % ({np.mean(one):.0f} in A, {np.mean(other):.0f} in B)"] = share
    if told:
        what = f"a single number tells A from B (50 % would be chance): {', '.join(told)}"
        remedy = "the translator will change them; if it should not, choose images alike in them"
        keep = "; generator.mask=true can leave backgrounds alone" if "border" in what else ""
        severity: Severity = "warning" if max(told.values()) >= FAR_APART else "note"
        yield Finding(severity, "gap", what, remedy + keep)


def separability(a: Sequence[float], b: Sequence[float]) -> float:
    """Return how often a number tells one of `a` from one of `b`: 0.5 by chance, 1 always (the area under the ROC)."""
    values = np.concatenate([a, b])
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]  # ties share the mean of their ranks
    area = (ranks[: len(a)].sum() - len(a) * (len(a) + 1) / 2) / (len(a) * len(b))
    return float(max(area, 1 - area))


def pairs(survey: Survey) -> Iterator[Finding]:
    """Compare partners: their shapes, and their outlines with each other's and with those of strangers."""
    shapes = [look.size[0] / look.size[1] for pair in survey.pairs for look in pair]
    ratios = zip(shapes[::2], shapes[1::2], survey.pairs, strict=True)
    wrong = [(a.name, b.name) for one, other, (a, b) in ratios if abs(one - other) > 0.02 * other]
    remedy = "crop both in the same way, or make sure that they belong together"
    yield from of_groups(wrong, "warning", "shapes", "in pairs of different shapes: the same spot is elsewhere", remedy)
    if len(survey.pairs) < ENOUGH:
        return
    shifts = np.array([b.shift for _, b in survey.pairs])
    right, down = np.median(shifts, axis=0)
    near = (np.abs(shifts - (right, down)).max(1) <= SHIFTED).mean()
    a, b = (_outlines([pair[side] for pair in survey.pairs]) for side in (0, 1))
    strangers = np.stack([(a * np.roll(b, len(a) * i // 9 or 1, axis=0)).sum(1) for i in range(1, 9)], axis=1)
    better = float(((a * b).sum(1)[:, None] > strangers).mean())
    if max(abs(right), abs(down)) >= SHIFTED and near > 0.5:
        what = f"B is shifted against A: {100 * right:+.1f} % of the width, {100 * down:+.1f} % of the height (median)"
        yield Finding("warning", "shifted", what, "shift or crop one side: pix2pix blurs what does not line up")
    elif better < BY_CHANCE:
        what = f"partners match hardly better than others: in {100 * better:.0f} % of comparisons (by chance 50 %)"
        remedy = "make sure that the files pair up as they should; if they do not, train a method for unpaired domains"
        yield Finding("warning", "unlike", what, remedy)


def _outlines(looks: list[Look]) -> NDArray[np.float32]:
    """Return the outlines of n images as n rows of mean 0 and length 1."""
    rows = np.frombuffer(b"".join(look.outlines for look in looks), np.uint8).reshape(len(looks), -1).astype(np.float32)
    rows -= rows.mean(1, keepdims=True)
    normed: NDArray[np.float32] = rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-3)
    return normed


def changed(survey: Survey) -> Iterator[Finding]:
    """Count what reading changes."""
    looks = [look for look in survey.looks if look.traits]
    counts = Counter(trait for look in looks for trait in look.traits)
    named = "; ".join(f"{count} {TRAITS[trait]}" for trait, count in counts.most_common())
    yield from of_images(looks, "note", "changed", f"change in reading: {named}", "")


def left_out(survey: Survey) -> Iterator[Finding]:
    """Compare the files in the folders with those that are used."""
    data, splits = survey.data, survey.splits
    samples = [*splits.train.a, *splits.train.b, *splits.test.a, *splits.test.b]
    if not all(isinstance(sample, FileSample) for sample in samples):
        return
    used = {os.path.realpath(str(sample)) for sample in samples}  # the same file may go by another name
    for root in (Path(root).expanduser() for root in (data.root, data.a, data.b) if root):
        unused = [(path,) for name in list_files(root) if os.path.realpath(path := str(root / name)) not in used]
        yield from of_groups(unused, "note", "unused", f"in {root} not used", "nothing to do, if that is meant")
        foreign = [
            (os.path.join(folder, name),)
            for folder, _, names in os.walk(root)
            for name in names
            if os.path.splitext(name)[1].lower() in FOREIGN and not is_hidden(name)
        ]
        what = f"in {root} of formats that are not read"
        yield from of_groups(foreign, "warning", "foreign", what, "convert them to PNG or JPEG")
