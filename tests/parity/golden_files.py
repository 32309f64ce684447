"""Where the golden files lie: those of this repository, or others in the same form in the folder VICEVERSA_GOLDEN."""

import os
from pathlib import Path

GOLDEN = Path(os.environ.get("VICEVERSA_GOLDEN") or Path(__file__).parents[1] / "golden")


def golden_files(suffix: str, beside: str) -> list[Path]:
    """Return the golden files of that suffix that have another of their name beside them."""
    return [path for path in sorted(GOLDEN.glob(f"*{suffix}")) if path.with_suffix(beside).exists()]
