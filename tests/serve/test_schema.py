"""The description of the service is true, whatever is sent to it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from test_processes import served

sys.path.append(str(Path(__file__).parents[1] / "translate"))
from generators import SMALL, weights_of


@pytest.mark.slow
def test_no_request_breaks_the_service(tmp_path: Path) -> None:
    pytest.importorskip("schemathesis")
    with served(weights_of(tmp_path / "AtoB.safetensors", SMALL)) as (_, url):
        command = ["-m", "schemathesis.cli", "run", f"{url}/openapi.json", "--max-examples", "100", "--seed", "0"]
        # random bytes are no picture, so what fits the description may still be refused
        command += ["--exclude-checks", "positive_data_acceptance"]
        result = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stdout[-3000:]
    assert "4 passed" in result.stdout
