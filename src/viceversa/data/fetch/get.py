"""`viceversa data get`: a known data set, from its archive or from Kaggle, into a folder."""

from __future__ import annotations

import shutil
from difflib import get_close_matches
from pathlib import Path

from viceversa.data.archives import unpack
from viceversa.data.catalogue import SETS, KnownSet
from viceversa.data.fetch.download import FetchError, Wanted, download, silent
from viceversa.data.fetch.transfer import Progress
from viceversa.files import locked, replacing_folder


def known(name: str) -> KnownSet:
    """Return a set of the catalogue, or raise FetchError with the nearest name."""
    names = {known.name: known for known in SETS}
    if name in names:
        return names[name]
    close = get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]}?" if close else "viceversa data get lists those that are known"
    raise FetchError(f"{name}: no such data set; {hint}")


def get_set(
    wanted: KnownSet, out: Path, *, keep: bool = False, downloading: Progress = silent, unpacking: Progress = silent
) -> Path:
    """Download a data set into `out`, which appears when all is there; return the folder to use as `data.root`.

    Until then the archive lies beside it, half of it as NAME.part, and the same call goes on with it. `keep` leaves the
    archive there. Raises FetchError if it cannot be had, ArchiveError if it cannot be unpacked, FileExistsError if
    there is something at `out`.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out}: there already; name another folder, or remove it to download it again")
    if not wanted.mirrors and not wanted.kaggle:
        raise FetchError(f"{wanted.name} cannot be downloaded: {wanted.note}")
    with locked(out):
        if wanted.kaggle:
            _from_kaggle(wanted.kaggle, out)
        else:
            archive = out.with_name(wanted.archive)
            limit = wanted.megabytes * 1_500_000  # bytes: half as much again, since sizes are rounded
            download(Wanted(wanted.mirrors, wanted.checksum, limit), archive, progress=downloading)
            unpack(archive, out, progress=unpacking)
            if not keep:
                archive.unlink()
    return _root(out)


def _from_kaggle(handle: str, out: Path) -> None:
    """Download a data set of Kaggle with its own package, which keeps what it has for the next try."""
    try:
        import kagglehub
    except ImportError:
        raise FetchError(f'{handle} lies at Kaggle: pip install "viceversa[kaggle]"') from None
    try:
        found = Path(kagglehub.dataset_download(handle))
    except Exception as error:  # its own kinds, those of requests, of the archive, of the file system
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise FetchError(f"https://www.kaggle.com/datasets/{handle}: {reason}") from None
    if any(path.is_symlink() for path in found.rglob("*")):
        raise FetchError(f"https://www.kaggle.com/datasets/{handle}: holds a link; not copied from {found}")
    with replacing_folder(out) as partial:
        shutil.copytree(found, partial, dirs_exist_ok=True)


def _root(folder: Path) -> Path:
    """Return the one folder that holds trainA, however deep it lies, or `folder` itself."""
    roots = {path.parent for path in folder.rglob("trainA") if path.is_dir()}
    return roots.pop() if len(roots) == 1 else folder
