"""hf://USER/NAME: runs and weights files on the Hugging Face Hub, copied once into its own cache.

`viceversa push` writes them there. Nothing here needs torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

NAME = re.compile(r"hf:/{1,2}([\w.-]+/[\w.-]+?)/*(?:/([^/].*))?")  # a Path has lost the second slash
KEPT = ["config.yaml", "metrics.jsonl", "weights/*.safetensors"]
"""What makes a run of a repository."""


def local_copy(path: Path) -> Path:
    """Return the local copy of hf://USER/NAME, a run's folder, or of hf://USER/NAME/FILE; any other path as it is.

    Raises ValueError, with the remedy, if it cannot be had.
    """
    found = NAME.fullmatch(path.as_posix())
    if found is None:
        return path
    repository, file = found.groups()
    with explained(repository):
        from huggingface_hub import hf_hub_download, snapshot_download

        return Path(hf_hub_download(repository, file) if file else snapshot_download(repository, allow_patterns=KEPT))


@contextmanager
def explained(repository: str) -> Iterator[None]:
    """Turn what goes wrong with the hub into one line with a remedy."""
    if find_spec("huggingface_hub") is None:
        raise ValueError('the Hugging Face Hub takes huggingface_hub; pip install "viceversa[hub]"')
    from huggingface_hub import errors

    try:
        yield
    except (errors.RepositoryNotFoundError, errors.LocalTokenNotFoundError):  # the hub does not say which it is
        raise ValueError(f"hf://{repository}: missing, or private; hf auth login, or HF_TOKEN, opens it") from None
    except errors.LocalEntryNotFoundError:
        raise ValueError(f"hf://{repository}: the hub cannot be reached, and there is no copy from before") from None
    except errors.EntryNotFoundError:
        raise ValueError(f"hf://{repository}: has no such file") from None
    except Exception as error:  # of the network, or what the hub answers
        raise ValueError(f"hf://{repository}: {(str(error).strip().splitlines() or ['it failed'])[0]}") from None
