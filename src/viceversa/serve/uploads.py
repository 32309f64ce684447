"""What comes from elsewhere: how much of it is taken, and what it may be called."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from viceversa.data.archives import ArchiveError, unpack
from viceversa.data.image_data import ImageError
from viceversa.serve.codecs import Codecs, Limits

LONGEST_NAME = 100
LOOKED_AT = 16  # pixels of what is made of an upload to see whether it can be read
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # devices, to Windows


class UploadError(ValueError):
    """An upload that is refused; the message is one line."""


def harmless_name(name: str) -> str:
    """Return a name for a file that somebody uploaded: visible, in no folder, no option of a program."""
    last = re.split(r"[/\\]", name)[-1]
    kept = re.sub(r"[^\w.() -]+", "_", last).strip(" .-") or "picture"
    stem, dot, suffix = kept.rpartition(".")
    if not dot or len(suffix) > 10:
        stem, suffix = kept, ""
    stem = stem[: LONGEST_NAME - len(suffix)]
    return f"{'_' if RESERVED.fullmatch(kept) else ''}{stem}{dot and suffix and f'.{suffix}'}"


def unpack_pictures(
    archive: Path, folder: Path, codecs: Codecs, limits: Limits, note: Callable[[int], object] = lambda count: None
) -> dict[str, str]:
    """Unpack an archive of pictures into `folder`, and return the files that are none, by name, and why.

    They are deleted. `note` gets how many pictures were looked at so far. Raises UploadError, and leaves no folder, for
    an archive that is damaged, too large, or leads out of its folder.
    """
    try:
        unpack(archive, folder, limits.unpacked, limits.files)
    except ArchiveError as error:
        raise UploadError(str(error).removeprefix(f"{archive}: ")) from None
    refused = dict[str, str]()
    for count, path in enumerate(sorted(path for path in folder.rglob("*") if path.is_file()), 1):
        try:
            codecs.thumbnail(path, LOOKED_AT)
        except ImageError as error:
            refused[path.relative_to(folder).as_posix()] = str(error)
            path.unlink()
        note(count)
    return refused
