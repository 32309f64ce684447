"""Findings about single images and files: what is wrong with them, how large and how many they are, what is unused."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from viceversa.data.check.look import Look
from viceversa.data.check.report import Finding, Severity, counted, of_groups
from viceversa.data.check.survey import Survey
from viceversa.data.datasets import FileSample, Sample
from viceversa.paths import EXTENSIONS, is_hidden

FLAT, FAINT = 1.0, 4.0  # standard deviation of the channel that varies most, 0 to 255
TINY = 16  # pixels
DARK = 14  # bits used of 16, or less: at most a quarter of the brightness that is meant
FEW, SOME = 100, 500  # unpaired: CycleGAN's authors suggest about 1000 a domain, and had 400 to 1300
FEW_PAIRS, SOME_PAIRS = 50, 200  # pix2pix learns facades from 400
UNEVEN = 4  # times as many
ENLARGED = 1.25  # times; the papers enlarge 256 to 286 themselves
SQUEEZED = 1.25  # long over short side after which stretching shows
UNLIKE = 1.5  # times the size of the other domain
MANY = 0.1  # part of the images
SIDES = (512, 384, 256, 192, 128, 96, 64, 48, 32)

FOREIGN = frozenset({".heic", ".heif", ".jxl", ".svg", ".psd", ".ico", ".exr", ".hdr", ".cr2", ".nef", ".dng"})
"""Suffixes of images that are not read."""

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


def of_images(looks: Sequence[Look], severity: Severity, kind: str, what: str, remedy: str = "") -> Iterator[Finding]:
    """Yield a finding about some images, if there are any; `what` goes after "3 images"."""
    yield from of_groups([(look.name,) for look in looks], severity, kind, what, remedy)


def single(survey: Survey) -> Iterator[Finding]:
    """Name what is wrong with single images, and what reading changes."""
    looks = survey.every()
    yield from _broken([look for look in looks if look.error])
    small = [look for look in looks if look.size and min(look.size) < TINY]
    yield from of_images(
        small, "warning", "tiny", f"less than {TINY} pixels wide or high", "remove them: enlarged they show nothing"
    )
    keeps_alpha = 4 in (survey.data.channels_a, survey.data.channels_b)
    for trait, (severity, what, remedy) in TRAITS.items():
        if not (trait == "transparent" and keeps_alpha):
            yield from of_images([look for look in looks if trait in look.traits], severity, trait, what, remedy)
    misnamed = [look for look in looks if "misnamed" in look.traits]
    kinds = dict.fromkeys(f"{look.format} named {os.path.splitext(look.name)[1] or look.name}" for look in misnamed)
    what = f"of another format than their names say ({', '.join([*kinds][:4])}); they are read all the same"
    yield from of_images(misnamed, "note", "misnamed", what, "rename them: other programs may not")
    strange = [look for look in looks if not look.name.isprintable()]
    what = "whose names hold line breaks, control characters or bytes that are not UTF-8"
    yield from of_images(strange, "note", "strange", what, "rename them before you share the data")


def _broken(looks: Sequence[Look]) -> Iterator[Finding]:
    reasons = Counter(str(look.error).removeprefix(f"{look.name}: ") for look in looks)
    named = "; ".join(f"{reason} ({count})" if count > 1 else reason for reason, count in reasons.most_common(4))
    more = f"; and {len(reasons) - 4} other reasons" if len(reasons) > 4 else ""
    remedy = "remove or replace them; training skips one in a hundred and stops at more"
    yield from of_images(looks, "error", "broken", f"cannot be read: {named}{more}", remedy)


def dark(survey: Survey) -> Iterator[Finding]:
    """Name images of one colour, which instance normalisation divides by nearly nothing, and those only stored dark.

    The latter use few of their 16 bits, or are label maps, whose numbers are names and not brightness.
    """
    bits = _bits(survey)
    stretch = 65535 / (2**bits - 1)
    plain: list[tuple[Look, float]] = []
    for domain in "AB":
        looks = survey.sound(domain)
        maps = [look for look in looks if "indices" in look.traits]
        maps = maps if 2 * len(maps) >= len(looks) else []
        what = f"of {domain} look like class indices: a few small numbers, nearly black to see"
        remedy = "give the classes colours: viceversa data colorize FOLDER OUT"
        yield from of_images(maps, "warning", "indices", what, remedy)
        rest = [look for look in looks if not maps or "indices" not in look.traits]
        plain += [(look, look.sight.contrast * (stretch if look.sight.top else 1)) for look in rest if look.sight]
    deep = [look for look, _ in plain if look.sight and look.sight.top and bits <= DARK]
    what = f"with {bits} of 16 bits used: read as they are, they are nearly black"
    yield from of_images(
        deep, "warning", "depth", what, f"data.scale={bits}bit" if bits > 8 else "save them with 8 bits"
    )
    one = [look for look, contrast in plain if contrast < FLAT]
    what = "of a single colour: instance normalisation blows up on them (losses become NaN)"
    yield from of_images(one, "error", "flat", what, "remove them")
    faint = [look for look, contrast in plain if FLAT <= contrast < FAINT]
    what = f"nearly of a single colour (standard deviation below {FAINT:g} of 255)"
    yield from of_images(faint, "warning", "faint", what, "look at them; remove what shows nothing")


def _bits(survey: Survey) -> int:
    """Return how many bits images of 16 bits use, label maps aside; 16 if data.scale says, or there are none."""
    tops = [look.sight.top for look in survey.every() if look.sight and "indices" not in look.traits]
    return max(tops, default=0).bit_length() or 16 if survey.data.scale == "auto" else 16


def amounts(survey: Survey) -> Iterator[Finding]:
    """Say if the training images are few, or of one domain many times those of the other."""
    train = survey.splits.train
    a, b = len(train.a), len(train.b)
    few, some = (FEW_PAIRS, SOME_PAIRS) if train.paired else (FEW, SOME)
    counts = {"pairs": a} if train.paired else {"A": a, "B": b}
    short = {name: count for name, count in counts.items() if count < some}
    if short and survey.splits.layout != "single":
        named = ", ".join(f"{count} {name}" for name, count in short.items())
        usual = "pix2pix's facades are 400 pairs" if train.paired else "CycleGAN's authors suggest about 1000 a domain"
        severity: Severity = "warning" if min(short.values()) < few else "note"
        remedy = "find more; else train on random crops (data.load well above data.crop), and watch the test images"
        yield Finding(severity, "few", f"few training images: {named} ({usual})", remedy)
    if max(a, b) >= UNEVEN * min(a, b):
        small, large, times = ("A", "B", b / a) if a < b else ("B", "A", a / b)
        what = f"{large} has {times:.0f} times the images of {small}: those are seen {times:.0f} times an epoch"
        yield Finding("warning" if times >= 3 * UNEVEN else "note", "balance", what, f"find more of {small}")


def sizes(survey: Survey) -> Iterator[Finding]:
    """Say if training enlarges images, leaves one domain sharp and the other blurred, or distorts shapes."""
    data = survey.data
    wanted = data.crop if data.resize == "none" else data.load
    shorts = {domain: [min(look.size) for look in survey.sound(domain) if look.size] for domain in "AB"}
    counts = []
    for domain, sides in shorts.items():
        small = [side for side in sides if ENLARGED * side < wanted]
        if len(small) > MANY * len(sides):
            counts.append(f"{len(small)} of {len(sides)} {domain}, {wanted / median(small):.1f} times")
    medians = [median(sides) for sides in shorts.values() if sides]
    crop = next((side for side in SIDES if side <= min(medians, default=0)), SIDES[-1])  # half are no smaller
    remedy = f"train smaller: data.load={crop * 9 // 8} data.crop={crop}"
    if counts:
        what = f"small images are enlarged to {wanted} pixels: {', '.join(counts)}"
        yield Finding("warning", "enlarged", what, remedy)
    blurred = len(medians) == 2 and ENLARGED * min(medians) < data.load and data.resize != "none"
    if blurred and max(medians) >= UNLIKE * min(medians) and not survey.splits.train.paired:
        what = (
            f"A and B differ in sharpness: short sides of {medians[0]:g} and {medians[1]:g} pixels become {data.load}"
        )
        yield Finding("warning", "sharpness", what, remedy)
    ratios = [max(look.size) / min(look.size) for look in survey.every() if look.size]
    strong = [ratio for ratio in ratios if ratio > SQUEEZED]
    if data.resize == "stretch" and len(strong) > MANY * len(ratios):
        what = f"{len(strong)} of {len(ratios)} images are squeezed to a square (median 1 : {median(strong):.2f})"
        yield Finding("warning", "squeezed", what, "data.resize=short_side keeps shapes, and takes crops")


def left_out(survey: Survey) -> Iterator[Finding]:
    """Compare the files in the folders with those that are used."""
    data, splits = survey.data, survey.splits
    roots = [Path(root) for root in (data.root, data.a, data.b) if root and Path(root).is_dir()]
    samples: list[Sample] = [*splits.train.a, *splits.train.b, *splits.test.a, *splits.test.b]
    if not roots or not all(isinstance(sample, FileSample) for sample in samples):
        return
    found = _by_kind(roots, {str(sample) for sample in samples})
    if links := found["link"]:
        yield Finding("warning", "unused", f"{counted(len(links), 'link')} to nothing", "repair or remove them", links)
    if folders := found["folder"]:
        what = f"{counted(len(folders), 'folder')} with an image's suffix"
        yield Finding("note", "unused", what, "rename them, if an image was meant", folders)
    if foreign := found["foreign"]:
        kinds = ", ".join(sorted({os.path.splitext(path)[1].lower() for path in foreign}))
        what = f"{counted(len(foreign), 'file')} in formats that are not read ({kinds})"
        yield Finding("warning", "foreign", what, "convert them to PNG or JPEG", foreign)
    if unused := found["image"]:
        start = roots[0] if len(roots) == 1 else None
        inside = Counter(os.path.relpath(os.path.dirname(path), start) for path in unused)
        named = ", ".join(f"{count} in {folder}" for folder, count in inside.most_common(4))
        what = f"{counted(len(unused))} not used ({named}{', ...' if len(inside) > 4 else ''})"
        if splits.train.paired and splits.layout == "paired":
            yield Finding("warning", "partner", what, "give each a partner of the same name", unused)
        else:
            yield Finding("note", "unused", what, "nothing to do, if that is meant", unused)


def _by_kind(roots: Sequence[Path], used: set[str]) -> dict[str, tuple[str, ...]]:
    """Return what is not used, by kind: link (to nothing), folder (called like an image), foreign, image."""
    found: dict[str, list[str]] = {"link": [], "folder": [], "foreign": [], "image": []}
    seen: set[str] = set()
    for parent, folders, files in (step for root in roots for step in os.walk(root, followlinks=True)):
        folders[:] = [name for name in folders if not is_hidden(name)]
        real = os.path.realpath(parent)
        if real in seen:  # a link may lead round in circles
            folders.clear()
            continue
        seen.add(real)
        for name in (*folders, *files):
            path, suffix = os.path.join(parent, name), os.path.splitext(name)[1].lower()
            if is_hidden(name) or path in used or suffix not in EXTENSIONS | FOREIGN:
                continue
            to_nothing = os.path.islink(path) and not os.path.exists(path)
            kind = "foreign" if suffix in FOREIGN else "link" if to_nothing else "image"
            found["folder" if name in folders else kind].append(path)
    if found["image"]:  # the same file may go by another name
        real_names = {os.path.realpath(name) for name in used}
        found["image"] = [path for path in found["image"] if os.path.realpath(path) not in real_names]
    return {kind: tuple(paths) for kind, paths in found.items()}
