"""The few pages of the server itself, in the report's style."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


@cache
def _environment() -> Environment:
    own = Path(__file__).parent / "templates"
    loader = FileSystemLoader([own, own.parents[1] / "report" / "templates"])  # its page.css
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def page(name: str, **values: object) -> str:
    """Return one of the pages in templates/."""
    return _environment().get_template(f"{name}.html.j2").render(values)
