"""Where the weights of judging networks come from: our cache, torch's cache, the network. They are checked."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

import torch

from viceversa.files import cache_folder, replacing


@dataclass(frozen=True)
class Download:
    """A file on the network, and what it must be."""

    name: str
    url: str
    sha256: str


INCEPTION = Download(
    "weights-inception-2015-12-05-6726825d.pth",
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
    "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
)
ALEXNET = Download(
    "alexnet-owt-7be5be79.pth",
    "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
)


def hub() -> Path:
    """Return the folder where torch, torchvision and torch-fidelity keep what they download."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def find(wanted: Download) -> Path:
    """Return the file from our cache, torch's cache, or the network (into our cache).

    Raises ValueError for a file whose SHA-256 is not the expected one, and OSError, with the file's name, its address
    and where to put it, when it cannot be had.
    """
    for path in places(wanted):
        if path.is_file():
            return _checked(path, wanted)
    return _download(wanted, cache_folder() / wanted.name)


def in_hub(wanted: Download) -> Path:
    """Return the file in torch's cache, brought there if needed; for libraries that look there and nowhere else."""
    path, found = hub() / wanted.name, find(wanted)
    if not path.is_file():
        with replacing(path) as temporary:
            shutil.copyfile(found, temporary)
    return _checked(path, wanted)


def at_hand(wanted: Download) -> bool:
    """Whether a file is there without asking the network."""
    return any(path.is_file() for path in places(wanted))


def places(wanted: Download) -> list[Path]:
    """Return where a file is looked for."""
    return [cache_folder() / wanted.name, hub() / wanted.name]


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _checked(path: Path, wanted: Download) -> Path:
    if sha256(path) != wanted.sha256:
        raise ValueError(f"{path}: damaged, or another file (wrong SHA-256); delete it, it comes from {wanted.url}")
    return path


def _download(wanted: Download, path: Path) -> Path:
    try:
        with replacing(path) as temporary:
            torch.hub.download_url_to_file(wanted.url, str(temporary), wanted.sha256, progress=False)
    except (URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise OSError(
            f"{wanted.name} is not here and {wanted.url} cannot be reached ({reason}); put the file into {path.parent}"
        ) from None
    except RuntimeError as error:  # torch.hub's word for a wrong hash
        raise ValueError(f"{wanted.url}: what came is not the expected file ({error})") from None
    return path
