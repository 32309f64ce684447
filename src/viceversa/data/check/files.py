"""Findings about what lies in the folders and is not used: broken links, foreign formats, files without a partner."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from viceversa.data.check.report import Finding, counted
from viceversa.data.check.survey import Survey
from viceversa.data.datasets import FileSample, Sample
from viceversa.paths import EXTENSIONS, is_hidden

FOREIGN = frozenset({".heic", ".heif", ".jxl", ".svg", ".psd", ".ico", ".exr", ".hdr", ".cr2", ".nef", ".dng"})
"""Suffixes of images that are not read."""


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
