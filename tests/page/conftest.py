"""A run to make pages of."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs import make_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run with samples, losses and events, and nothing else."""
    return make_run(tmp_path)
