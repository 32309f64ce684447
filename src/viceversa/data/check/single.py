"""Findings about single pictures: broken, flat, tiny, and what reading changes in them."""

from __future__ import annotations

from collections.abc import Iterator

from viceversa.data.check.findings import Finding, Severity, counted
from viceversa.data.check.look import Look, names_of
from viceversa.data.check.survey import Survey

FLAT, FAINT = 1.0, 4.0  # standard deviation of the channel that varies most, 0 to 255
TINY = 16  # pixels

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
        reasons = "; ".join(dict.fromkeys(_reason(look) for look in looks))
        what = f"{counted(len(files))} cannot be read: {reasons}"
        remedy = "remove or replace them; training skips one in a hundred and stops at more"
        yield Finding("error", "broken", what, remedy, files)


def _reason(look: Look) -> str:
    return str(look.error).removeprefix(f"{look.name}: ")


def flat(survey: Survey) -> Iterator[Finding]:
    """Name pictures of one colour, which instance normalisation divides by nearly nothing."""
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
    """Name pictures of a few pixels: thumbnails, spacers, lines."""
    looks = [look for look in survey.every() if look.size and min(look.size) < TINY]
    if looks:
        files = names_of(looks)
        what = f"{counted(len(files))} less than {TINY} pixels wide or high"
        yield Finding("warning", "tiny", what, "remove them: enlarged they show nothing", files)


def traits(survey: Survey) -> Iterator[Finding]:
    """Say what reading changes."""
    looks = survey.every()
    for trait, (severity, what, remedy) in TRAITS.items():
        files = names_of([look for look in looks if trait in look.traits and not _kept(trait, survey)])
        if files:
            yield Finding(severity, trait, f"{counted(len(files))} {what}", remedy, files)


def _kept(trait: str, survey: Survey) -> bool:
    """Whether transparency is wanted as the fourth channel."""
    return trait == "transparent" and 4 in (survey.data.channels_a, survey.data.channels_b)


def strange(survey: Survey) -> Iterator[Finding]:
    """Name files whose names other programs, or the next archive, will stumble over."""
    files = names_of([look for look in survey.every() if not look.name.isprintable()])
    if files:
        what = f"{counted(len(files))} whose names hold line breaks, control characters or bytes that are not UTF-8"
        yield Finding("note", "strange", what, "rename them before you share the data", files)
