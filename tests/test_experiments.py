"""Every experiment runs from its script, and shows what its page says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


@pytest.mark.slow
def test_a_normalised_output_has_a_floor(tmp_path: Path) -> None:
    words = [sys.executable, str(EXPERIMENTS / "output_norm.py"), "--quick"]
    said = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    free, normalised, shifted = (float(mean) for mean in re.findall(r"\| ([\d.]+) ± ", said))
    assert free < 2
    assert normalised > 20
    assert shifted > normalised
