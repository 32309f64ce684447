"""A generator that several test modules translate with: as a file, and loaded."""

from pathlib import Path

import pytest
from generators import SMALL, weights_of

from viceversa.translator import Translator


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return weights_of(tmp_path_factory.mktemp("weights") / "AtoB.safetensors", {**SMALL, "mask": True})


@pytest.fixture(scope="session")
def translator(weights: Path) -> Translator:
    return Translator.load(weights)
