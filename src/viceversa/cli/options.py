"""What the commands share: arguments, options, progress bars."""

import dataclasses
import inspect
import os
import sys
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional, TypeVar, get_args, get_origin, get_type_hints

import typer

from viceversa.options import docs_of

if TYPE_CHECKING:
    from viceversa.config import DataConfig

T = TypeVar("T")
LAYOUT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def argument(metavar: str, **more: Any) -> Any:
    """Return an argument that appears in the usage line; the command's docstring explains it."""
    return typer.Argument(metavar=metavar, hidden=True, show_default=False, **more)


def option(*names: str, help: str, metavar: str | None = None, show: bool = False, **more: Any) -> Any:
    """Return an option whose default is only shown where it is informative."""
    return typer.Option(*names, help=help, metavar=metavar, show_default=show, **more)


def takes(cls: type, **parsers: Callable[[str], Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let the command line ask for the fields of a dataclass, which the command gets as `options`.

    A field's docstring is the help of its option; a dictionary in its annotation holds what else typer is told.
    """
    hints, docs = get_type_hints(cls, include_extras=True), docs_of(cls)

    def parameter(field: dataclasses.Field[Any]) -> inspect.Parameter:
        hint, more = hints[field.name], dict[str, Any]()
        if get_origin(hint) is Annotated:
            hint, more = get_args(hint)
        names = [f"--{field.name.replace('_', '-')}"] if field.default is False else []
        more = {"show": bool(field.default) and field.default is not True, **more}
        asked = option(*names, help=docs[field.name], parser=parsers.get(field.name), **more)
        kind = inspect.Parameter.KEYWORD_ONLY
        return inspect.Parameter(field.name, kind, default=field.default, annotation=Annotated[hint, asked])

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = {name: each for name, each in inspect.signature(command).parameters.items() if name != "options"}
        fields = {field.name: parameter(field) for field in dataclasses.fields(cls) if field.name not in own}

        @wraps(command)
        def run(**given: Any) -> None:
            values = {field.name: given[field.name] for field in dataclasses.fields(cls)}
            command(**{name: given[name] for name in own}, options=cls(**values))

        every = own | fields
        run.__signature__ = inspect.Signature(list(every.values()))  # type: ignore[attr-defined]
        run.__annotations__ = {name: each.annotation for name, each in every.items()}
        return run

    return decorate


def words(source: Optional[str], overrides: Optional[list[str]]) -> list[str]:
    """Return the preset or file, if one was typed, and the KEY=VALUE words after it."""
    return [*filter(None, [source]), *(overrides or [])]


def number_of_bytes(text: str) -> int:
    """Return what a size such as 500MB or 2GiB is in bytes."""
    from pydantic import ByteSize, TypeAdapter, ValidationError

    try:
        return int(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError:
        raise typer.BadParameter(f"{text} is no size; write it as 500MB or 2GB") from None


def existing(context: typer.Context, path: Optional[Path]) -> Optional[Path]:
    """Return a path, of hf://USER/NAME that of its copy; refuse one that does not exist, before torch is imported."""
    if path is None or context.resilient_parsing:
        return path
    from viceversa.files import require
    from viceversa.paths import local_copy

    return require(local_copy(path), "run or weights file")


def _run(context: typer.Context, path: Path) -> Path:
    """Refuse what is not a run, before torch is imported."""
    from viceversa.files import require

    if not context.resilient_parsing:
        if path.is_file():
            raise typer.BadParameter(f"{path}: is one file, not a run; name the folder that a training wrote")
        require(require(path, "run") / "config.yaml", "file, so this is not a run")
    return path


def require_data(data: "DataConfig") -> None:
    """Refuse pictures that are not named, or not there, before torch is imported."""
    from viceversa.config import ConfigError
    from viceversa.files import require

    for place in filter(None, (data.root, data.manifest, data.a, data.b)):
        if "://" not in place:
            require(Path(place).expanduser())
    if not any((data.root, data.manifest, data.a)):
        raise ConfigError("no pictures given: set data.root=FOLDER, or data.a=FOLDER data.b=OTHER")


Source = Annotated[Optional[str], argument("PRESET|CONFIG.yaml")]
Overrides = Annotated[Optional[list[str]], argument("KEY=VALUE")]
Model = Annotated[Path, argument("RUN|WEIGHTS", callback=existing)]
Run = Annotated[Path, argument("RUN", callback=_run)]


def has_browser() -> bool:
    """Return whether the command runs in a terminal on a display."""
    display = sys.platform in ("win32", "darwin") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(sys.stdout.isatty() and display)


def track(items: Iterable[T], total: int) -> Iterable[T]:
    """Show a progress bar on a terminal, nothing elsewhere."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(items, "", total, console=console, disable=not console.is_terminal, transient=True)
