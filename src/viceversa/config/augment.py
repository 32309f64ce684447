"""Random changes of training pictures: a section of `data`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import ConfigDict, Field


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes of training pictures beyond crop and flip; 0 leaves one out. Pairs get the same geometry."""

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Turn by up to so many degrees either way; corners are filled by mirroring."""
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Enlarge or shrink by up to this share: 0.1 is 0.9 to 1.1 times."""
    color: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Change brightness, contrast and saturation by up to this share, each on its own."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Turn the colours by up to this share of the colour circle."""
    color_of: Literal["both", "A", "B"] = "both"
    """Worlds that color and hue change. Of pairs one must be named: the change would make the true answer wrong."""
    cutout: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Blank a square of up to this share of the crop's side."""

    @property
    def wanted(self) -> bool:
        """Whether anything is changed at all."""
        return any(value for value in dataclasses.astuple(self) if not isinstance(value, str))

    @property
    def recolors(self) -> bool:
        """Whether colours are changed."""
        return bool(self.color or self.hue)
