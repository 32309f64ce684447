"""Templates to text: everything a page needs is put into the one file."""

from __future__ import annotations

from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from viceversa import __version__

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent / "templates"


def render(template: str, **values: Any) -> str:
    """Return a page; values are escaped, styles and scripts of the package are not."""
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return _environment().get_template(template).render(now=now, version=__version__, **values)


def duration(seconds: float) -> str:
    """Return a length of time in words: `3 min 34 s`, `2 h 5 min`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} days {hours % 24} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


@lru_cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # here, as no training should wait for it
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"thousands": "{:,}".format, "figure": "{:.4g}".format, "duration": duration}
    environment.globals["asset"] = lambda name: Markup((FOLDER / name).read_text("utf-8"))
    return environment
