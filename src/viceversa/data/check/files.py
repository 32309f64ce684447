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

FOREIGN = (
    frozenset(
        {*(".heic", ".heif", ".avif", ".jfif", ".jp2", ".jxl", ".tga", ".svg", ".psd", ".ico", ".exr", ".hdr")}
        | {*(".raw", ".cr2", ".nef", ".dng")}
    )
    - EXTENSIONS
)  # images, but none that are read


def left_out(survey: Survey) -> Iterator[Finding]:
    """Compare the files in the folders with those that are used."""
    data, splits = survey.data, survey.splits
    roots = [Path(root) for root in (data.root, data.a, data.b) if root and Path(root).is_dir()]
    samples: list[Sample] = [*splits.train.a, *splits.train.b, *splits.test.a, *splits.test.b]
    if not roots or not all(isinstance(sample, FileSample) for sample in samples):
        return
    found = _sorted_out(roots, {str(sample) for sample in samples})
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
        folders_of = Counter(
            os.path.relpath(os.path.dirname(path), roots[0] if not roots[1:] else None) for path in unused
        )
        named = ", ".join(f"{count} in {folder}" for folder, count in folders_of.most_common(4))
        what = f"not used: {counted(len(unused))} ({named}{', ...' if len(folders_of) > 4 else ''})"
        if splits.train.paired and splits.layout == "paired":
            yield Finding("warning", "partner", what, "give each a partner of the same name", unused)
        else:
            yield Finding("note", "unused", what, "nothing to do, if that is meant", unused)


def _sorted_out(roots: Sequence[Path], used: set[str]) -> dict[str, tuple[str, ...]]:
    """Return what is not used, by kind: link (to nothing), folder (called like an image), foreign, image."""
    found: dict[str, list[str]] = {"link": [], "folder": [], "foreign": [], "image": []}
    for path, is_folder in _walk(roots):
        suffix = os.path.splitext(path)[1].lower()
        if path in used or suffix not in EXTENSIONS | FOREIGN:
            continue
        if is_folder:
            found["folder"] += [path] * (suffix in EXTENSIONS)
        elif suffix in FOREIGN:
            found["foreign"].append(path)
        else:
            found["link" if os.path.islink(path) and not os.path.exists(path) else "image"].append(path)
    if found["image"]:  # the same file may go by another name
        real = {os.path.realpath(name) for name in used}
        found["image"] = [path for path in found["image"] if os.path.realpath(path) not in real]
    return {kind: tuple(paths) for kind, paths in found.items()}


def _walk(roots: Sequence[Path]) -> Iterator[tuple[str, bool]]:
    """Yield what lies below, with whether it is a folder; as `list_files` does, without hidden and circular ones."""
    seen: set[str] = set()
    for root in roots:
        for parent, folders, files in os.walk(root, followlinks=True):
            real = os.path.realpath(parent)
            folders[:] = [name for name in folders if not is_hidden(name)]
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            yield from ((os.path.join(parent, name), True) for name in folders)
            yield from ((os.path.join(parent, name), False) for name in files if not is_hidden(name))
