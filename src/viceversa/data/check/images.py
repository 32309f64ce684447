"""Findings about single images, and about how large and how many they are."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from statistics import median

from viceversa.data.check.look import Look
from viceversa.data.check.report import Finding, Severity, counted
from viceversa.data.check.survey import Survey, names_of

FLAT, FAINT = 1.0, 4.0  # standard deviation of the channel that varies most, 0 to 255
TINY = 16  # pixels
FEW, SOME = 100, 500  # unpaired: CycleGAN's authors suggest about 1000 a domain, and had 400 to 1300
FEW_PAIRS, SOME_PAIRS = 50, 200  # pix2pix learns facades from 400
UNEVEN = 4  # times as many
ENLARGED = 1.25  # times; the papers enlarge 256 to 286 themselves
SQUEEZED = 1.25  # long over short side after which stretching shows
UNLIKE = 1.5  # times the size of the other domain
MANY = 0.1  # part of the images
SIDES = (512, 384, 256, 192, 128, 96, 64, 48, 32)

DARK = 14  # bits used of 16, or less: at most a quarter of the brightness that is meant

TRAITS: dict[str, tuple[Severity, str, str]] = {
    "animated": ("note", "with several frames or pages, of which the first is read", "save the others as files"),
    "cmyk": ("note", "in CMYK, converted to RGB", ""),
    "profile": ("note", "with a colour profile, converted to sRGB", ""),
    "stretched": (
        *("warning", "of negative numbers, or of no known range: each is stretched from its least to its greatest"),
        "bring all of them into 0 to 1 (floats) or 0 to 65535 (integers) by the same rule",
    ),
    "transparent": ("note", "with transparency, laid on white", "data.channels_a=4 or data.channels_b=4 keeps it"),
    "turned": ("note", "turned as their EXIF data say", ""),
}


def broken(survey: Survey) -> Iterator[Finding]:
    """Name the files that cannot be decoded."""
    looks = [look for look in survey.every() if look.error]
    if looks:
        files = names_of(looks)
        reasons = Counter(str(look.error).removeprefix(f"{look.name}: ") for look in looks)
        named = "; ".join(f"{reason} ({count})" if count > 1 else reason for reason, count in reasons.most_common(4))
        more = f"; and {len(reasons) - 4} other reasons" if len(reasons) > 4 else ""
        remedy = "remove or replace them; training skips one in a hundred and stops at more"
        yield Finding("error", "broken", f"{counted(len(files))} cannot be read: {named}{more}", remedy, files)


def flat(survey: Survey) -> Iterator[Finding]:
    """Name images of one colour, which instance normalisation divides by nearly nothing; not those only stored dark."""
    stretch = 65535 / (2 ** _bits(survey) - 1)
    maps = {id(look) for looks in _label_maps(survey).values() for look in looks}
    spread = [
        (look, look.sight.contrast * (stretch if look.sight.top else 1))
        for look in survey.every()
        if look.sight and id(look) not in maps
    ]
    one = names_of([look for look, contrast in spread if contrast < FLAT])
    faint = names_of([look for look, contrast in spread if FLAT <= contrast < FAINT])
    if one:
        what = f"{counted(len(one))} of a single colour: instance normalisation blows up on them (losses become NaN)"
        yield Finding("error", "flat", what, "remove them", one)
    if faint:
        what = f"{counted(len(faint))} nearly of a single colour (standard deviation below {FAINT:g} of 255)"
        yield Finding("warning", "faint", what, "look at them; remove what shows nothing", faint)


def depth(survey: Survey) -> Iterator[Finding]:
    """Say if images of 16 bits use fewer, so that they are read nearly black."""
    deep, bits = [look for look in survey.every() if look.sight and look.sight.top], _bits(survey)
    if bits <= DARK and len(deep) > sum(map(len, _label_maps(survey).values())):
        what = f"{counted(len(deep))} with {bits} of 16 bits used: read as they are, they are nearly black"
        remedy = f"data.scale={bits}bit" if bits > 8 else "save them with 8 bits"
        yield Finding("warning", "depth", what, remedy, names_of(deep))


def indices(survey: Survey) -> Iterator[Finding]:
    """Say if a domain looks like label maps, whose numbers are names and not brightness."""
    for domain, looks in _label_maps(survey).items():
        if looks:
            what = (
                f"{counted(len(looks))} of {domain} look like class indices: a few small numbers, nearly black to see"
            )
            remedy = "give the classes colours: viceversa data colorize FOLDER OUT"
            yield Finding("warning", "indices", what, remedy, names_of(looks))


def misnamed(survey: Survey) -> Iterator[Finding]:
    """Name files of another format than their names say."""
    looks = [look for look in survey.every() if "misnamed" in look.traits]
    if looks:
        kinds = dict.fromkeys(f"{look.format} named {os.path.splitext(look.name)[1] or look.name}" for look in looks)
        files = names_of(looks)
        what = (
            f"{counted(len(files))} of another format than their names say ({', '.join([*kinds][:4])}); they are read"
        )
        yield Finding("note", "misnamed", what, "rename them: other programs may not", files)


def _label_maps(survey: Survey) -> dict[str, list[Look]]:
    """Return the label maps of the domains that hold little else."""
    found = {domain: [look for look in survey.sound(domain) if "indices" in look.traits] for domain in "AB"}
    return {domain: looks if 2 * len(looks) >= len(survey.sound(domain)) else [] for domain, looks in found.items()}


def _bits(survey: Survey) -> int:
    """Return how many bits images of 16 bits use, the label maps aside; 16 if data.scale says, or there are none."""
    tops = [look.sight.top for look in survey.every() if look.sight and "indices" not in look.traits]
    return max(tops, default=0).bit_length() or 16 if survey.data.scale == "auto" else 16


def tiny(survey: Survey) -> Iterator[Finding]:
    """Name images of a few pixels: thumbnails, spacers, lines."""
    looks = [look for look in survey.every() if look.size and min(look.size) < TINY]
    if looks:
        files = names_of(looks)
        what = f"{counted(len(files))} less than {TINY} pixels wide or high"
        yield Finding("warning", "tiny", what, "remove them: enlarged they show nothing", files)


def traits(survey: Survey) -> Iterator[Finding]:
    """Say what reading changes."""
    keeps_alpha = 4 in (survey.data.channels_a, survey.data.channels_b)
    for trait, (severity, what, remedy) in TRAITS.items():
        files = names_of([look for look in survey.every() if trait in look.traits])
        if files and not (trait == "transparent" and keeps_alpha):
            yield Finding(severity, trait, f"{counted(len(files))} {what}", remedy, files)


def strange(survey: Survey) -> Iterator[Finding]:
    """Name files whose names other programs, or the next archive, will stumble over."""
    files = names_of([look for look in survey.every() if not look.name.isprintable()])
    if files:
        what = f"{counted(len(files))} whose names hold line breaks, control characters or bytes that are not UTF-8"
        yield Finding("note", "strange", what, "rename them before you share the data", files)


def enough(survey: Survey) -> Iterator[Finding]:
    """Say if the training images are few."""
    train = survey.splits.train
    few, some = (FEW_PAIRS, SOME_PAIRS) if train.paired else (FEW, SOME)
    counts = {"pairs": len(train.a)} if train.paired else {"A": len(train.a), "B": len(train.b)}
    short = {name: count for name, count in counts.items() if count < some}
    if short and survey.splits.layout != "single":
        named = ", ".join(f"{count} {name}" for name, count in short.items())
        usual = "pix2pix's facades are 400 pairs" if train.paired else "CycleGAN's authors suggest about 1000 a domain"
        severity: Severity = "warning" if min(short.values()) < few else "note"
        remedy = "find more; else train on random crops (data.load well above data.crop), and watch the test images"
        yield Finding(severity, "few", f"few training images: {named} ({usual})", remedy)


def balance(survey: Survey) -> Iterator[Finding]:
    """Say if one domain has many times the images of the other."""
    a, b = len(survey.splits.train.a), len(survey.splits.train.b)
    if max(a, b) >= UNEVEN * min(a, b):
        small, large, times = ("A", "B", b / a) if a < b else ("B", "A", a / b)
        what = f"{large} has {times:.0f} times the images of {small}: those are seen {times:.0f} times an epoch"
        yield Finding("warning" if times >= 3 * UNEVEN else "note", "balance", what, f"find more of {small}")


def enlarged(survey: Survey) -> Iterator[Finding]:
    """Say which images are smaller than training wants them, and which sizes would fit."""
    data, shorts = survey.data, _short_sides(survey)
    wanted = data.crop if data.resize == "none" else data.load
    small = {domain: [side for side in sides if ENLARGED * side < wanted] for domain, sides in shorts.items()}
    many = {domain: sides for domain, sides in small.items() if len(sides) > MANY * len(shorts[domain])}
    if many:
        counts = ", ".join(
            f"{len(sides)} of {len(shorts[domain])} {domain}, {wanted / median(sides):.1f} times"
            for domain, sides in many.items()
        )
        what = f"small images are enlarged to {wanted} pixels: {counts}"
        yield Finding("warning", "enlarged", what, _fitting([*shorts.values()]))


def sharpness(survey: Survey) -> Iterator[Finding]:
    """Say if resizing leaves one domain sharp and the other blurred."""
    data, shorts = survey.data, _short_sides(survey)
    medians = [median(sides) for sides in shorts.values() if sides]
    blurred = len(medians) == 2 and ENLARGED * min(medians) < data.load and data.resize != "none"
    if blurred and max(medians) >= UNLIKE * min(medians) and not survey.splits.train.paired:
        sides = f"short sides of {medians[0]:g} and {medians[1]:g} pixels become {data.load}"
        yield Finding("warning", "sharpness", f"A and B differ in sharpness: {sides}", _fitting([*shorts.values()]))


def squeezed(survey: Survey) -> Iterator[Finding]:
    """Say how far stretching to a square distorts."""
    ratios = [max(look.size) / min(look.size) for look in survey.every() if look.size]
    strong = [ratio for ratio in ratios if ratio > SQUEEZED]
    if survey.data.resize == "stretch" and len(strong) > MANY * len(ratios):
        what = f"{len(strong)} of {len(ratios)} images are squeezed to a square (median 1 : {median(strong):.2f})"
        yield Finding("warning", "squeezed", what, "data.resize=short_side keeps shapes, and takes crops")


def _short_sides(survey: Survey) -> dict[str, list[int]]:
    return {domain: [min(look.size) for look in survey.sound(domain) if look.size] for domain in "AB"}


def _fitting(sides: list[list[int]]) -> str:
    """Return the largest usual crop that half of the images of each domain fill without being enlarged much."""
    least = min(median(side) for side in sides if side)
    crop = next((side for side in SIDES if side <= least), SIDES[-1])
    return f"train smaller: data.load={crop * 9 // 8} data.crop={crop}"
