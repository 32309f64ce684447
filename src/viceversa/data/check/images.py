"""Findings about single images, and about how large and how many they are."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

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

TRAITS: dict[str, tuple[Severity, str, str]] = {
    "animated": ("note", "with several frames or pages, of which the first is read", "save the others as files"),
    "cmyk": ("note", "in CMYK, converted to RGB", ""),
    "misnamed": ("note", "of another format than their names say; they are read all the same", ""),
    "profile": ("note", "with a colour profile, converted to sRGB", ""),
    "transparent": ("note", "with transparency, laid on white", "data.channels_a=4 or data.channels_b=4 keeps it"),
    "turned": ("note", "turned as their EXIF data say", ""),
}


def broken(survey: Survey) -> Iterator[Finding]:
    """Name the files that cannot be decoded."""
    looks = [look for look in survey.every() if look.error]
    if looks:
        files = names_of(looks)
        reasons = "; ".join(dict.fromkeys(str(look.error).removeprefix(f"{look.name}: ") for look in looks))
        what = f"{counted(len(files))} cannot be read: {reasons}"
        remedy = "remove or replace them; training skips one in a hundred and stops at more"
        yield Finding("error", "broken", what, remedy, files)


def flat(survey: Survey) -> Iterator[Finding]:
    """Name images of one colour, which instance normalisation divides by nearly nothing."""
    seen = [(look, look.sight) for look in survey.every() if look.sight]
    one = names_of([look for look, sight in seen if sight.contrast < FLAT])
    faint = names_of([look for look, sight in seen if FLAT <= sight.contrast < FAINT])
    if one:
        what = f"{counted(len(one))} of a single colour: instance normalisation blows up on them (losses become NaN)"
        yield Finding("error", "flat", what, "remove them", one)
    if faint:
        what = f"{counted(len(faint))} nearly of a single colour (standard deviation below {FAINT:g} of 255)"
        yield Finding("warning", "faint", what, "look at them; remove what shows nothing", faint)


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
