"""What every metric promises: it notes something of each picture, and makes one value of the notes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Picture: TypeAlias = NDArray[np.uint8]
"""RGB, (height, width, 3)."""
Reference: TypeAlias = Literal["truth", "input", "real", "none"]


class MissingExtra(ValueError):
    """A package that is not installed; the message names the extra that brings it."""

    def __init__(self, package: str, extra: str = "metrics") -> None:
        super().__init__(f'{package} is not installed; pip install "viceversa[{extra}]"')


@dataclass(frozen=True)
class Value:
    """What a metric says of a set of pictures."""

    value: float
    spread: float | None = None
    """How far it scatters; `facts` says what over."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Its protocol: whatever another would need to get the same number."""


class Metric(ABC):
    """Judges a set of pictures."""

    name: str
    """With what it depends on in brackets, kid[inception]: values of different names must not be compared."""
    reference: Reference
    """What each picture is held against: its true answer; its input, after the way there and back; or, all together,
    real pictures of the target world; or nothing."""
    higher_is_better: bool = False

    @property
    def notebook(self) -> str:
        """Where its notes stand; metrics that note the same share them."""
        return self.name

    @abstractmethod
    def note(self, picture: Picture, reference: Picture | None) -> Tensor:
        """Return a vector (D,) that says of a picture all that `value` needs."""

    @abstractmethod
    def value(self, notes: Tensor, real: Tensor | None) -> Value:
        """Make a value of the notes (N, D), and of those of the M real pictures (M, D) if it asks for some."""
