"""Findings about what lies in the folders and takes no part: broken links, foreign formats, files without a partner."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from viceversa.config import DataConfig
from viceversa.data.check.findings import Finding, counted
from viceversa.data.datasets import DatasetSplits, FileSample, Sample
from viceversa.data.image_io import EXTENSIONS

FOREIGN = (
    frozenset(
        {*(".heic", ".heif", ".avif", ".jfif", ".jp2", ".jxl", ".tga", ".svg", ".psd", ".ico", ".exr", ".hdr")}
        | {*(".raw", ".cr2", ".nef", ".dng")}
    )
    - EXTENSIONS
)  # pictures, but not to us


def left_out(source: DatasetSplits, data: DataConfig) -> Iterator[Finding]:
    """Compare the files in the folders with those that are used."""
    roots = [Path(root) for root in (data.root, data.a, data.b) if root and Path(root).is_dir()]
    splits = (source.train, source.test)
    items: list[Sample] = [item for split in splits for side in (split.a, split.b) for item in side]
    if not roots or not all(isinstance(item, FileSample) for item in items):
        return
    used = {str(item) for item in items}
    unused: list[str] = []
    links: list[str] = []
    folders: list[str] = []
    foreign: list[str] = []
    for path, is_folder in _walk(roots):
        suffix = os.path.splitext(path)[1].lower()
        if path in used:
            continue
        if is_folder:
            folders += [path] * (suffix in EXTENSIONS)
        elif suffix in FOREIGN:
            foreign.append(path)
        elif suffix in EXTENSIONS:
            (links if os.path.islink(path) and not os.path.exists(path) else unused).append(path)
    if unused:  # the same file may go by another name
        real = {os.path.realpath(name) for name in used}
        unused = [path for path in unused if os.path.realpath(path) not in real]
    yield from _broken_links(links)
    if folders:
        what = f"{counted(len(folders), 'folder')} with a picture's suffix"
        yield Finding("note", "unused", what, "rename them, if a picture was meant", tuple(folders))
    if foreign:
        kinds = ", ".join(sorted({os.path.splitext(path)[1].lower() for path in foreign}))
        what = f"{counted(len(foreign), 'file')} in formats that are not read ({kinds})"
        yield Finding("warning", "foreign", what, "convert them to PNG or JPEG", tuple(foreign))
    yield from _unused(unused, roots, source)


def _broken_links(links: Sequence[str]) -> Iterator[Finding]:
    if links:
        what = f"{counted(len(links), 'link')} to nothing, left out"
        yield Finding("warning", "unused", what, "repair or remove them", tuple(links))


def _unused(unused: Sequence[str], roots: Sequence[Path], source: DatasetSplits) -> Iterator[Finding]:
    if unused:
        root = next((root for root in roots if len(roots) == 1), None)
        folders = Counter(os.path.relpath(os.path.dirname(path), root) for path in unused)
        named = ", ".join(f"{count} in {folder}" for folder, count in folders.most_common(4))
        paired = source.train.paired and source.layout == "paired"
        what = f"left out: {counted(len(unused))} ({named}{', ...' if len(folders) > 4 else ''})"
        remedy = "give each a partner of the same name" if paired else "nothing to do, if that is meant"
        yield Finding("warning" if paired else "note", "partner" if paired else "unused", what, remedy, tuple(unused))


def _walk(roots: Sequence[Path]) -> Iterator[tuple[str, bool]]:
    """Yield what lies below, with whether it is a folder; as `list_files` does, without hidden and circular ones."""
    seen: set[str] = set()
    for root in roots:
        for parent, folders, files in os.walk(root, followlinks=True):
            real = os.path.realpath(parent)
            folders[:] = [name for name in folders if not name.startswith(".")]
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            yield from ((os.path.join(parent, name), True) for name in folders)
            yield from ((os.path.join(parent, name), False) for name in files if not name.startswith("."))
