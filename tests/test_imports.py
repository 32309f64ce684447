"""Who may import whom, read from the syntax trees; and what a fast command must not import."""

import ast
import subprocess
import sys
from collections.abc import Iterable
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import viceversa

ROOT = Path(viceversa.__file__).parent
LEVELS = [
    {"options"},
    {"config"},
    {"files", "registry", "devices", "seeds", "paths"},
    {"losses", "nets", "data"},
    {"fast_cpu", "metrics"},
    {"methods", "backends"},
    {"engine", "translator"},
    {"report", "evaluate"},
    {"translate", "export", "info", "demo", "interop"},
    {"serve"},
    {"studio"},
    {"cli"},
    {"__main__"},
]
LEVEL = {name: number for number, names in enumerate(LEVELS, 1) for name in names}
LEVEL["__init__"] = 99  # the public face: its imports happen when they are asked for


def unit(path: Path) -> str:
    """The file, or the folder of files, below src/viceversa that a path belongs to."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def module(path: Path) -> str:
    """The dotted name of a file of ours."""
    return ".".join(["viceversa", *path.relative_to(ROOT).with_suffix("").parts]).removesuffix(".__init__")


FILES = sorted(ROOT.rglob("*.py"))
MODULES = {module(path): path for path in FILES}
TREES = {path: ast.parse(path.read_text("utf-8")) for path in FILES}


def imported(path: Path, nodes: Iterable[ast.AST] | None = None) -> set[str]:
    """Modules that a file imports anywhere in it, or in the given nodes, as dotted names."""
    found = set()
    package = ["viceversa", *path.relative_to(ROOT).parts[:-1]]
    for node in nodes or ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *filter(None, [node.module])])
            names = {f"{source}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES or source == "viceversa" else source for name in names}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_staircase(path: Path) -> None:
    own = unit(path)
    assert own in LEVEL, f"{own} has no place on the staircase: give it one in LEVELS, and in docs/architecture.md"
    for name in imported(path):
        if name.startswith("viceversa.") and name != "viceversa.__version__":
            other = name.split(".")[1]
            assert other == own or LEVEL[other] < LEVEL[own], f"{own} must not import {other}"


def test_no_import_goes_in_a_circle() -> None:
    graph = {name: imported(path, TREES[path].body) & MODULES.keys() - {name} for name, path in MODULES.items()}
    assert list(TopologicalSorter(graph).static_order())


def test_no_two_classes_or_types_share_a_name() -> None:
    named: dict[str, list[str]] = {}
    for path, tree in TREES.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                named.setdefault(node.name, []).append(module(path))
            elif isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) == "TypeAlias":
                named.setdefault(ast.unparse(node.target), []).append(module(path))
    assert {name: places for name, places in named.items() if len(places) > 1} == {}


@pytest.mark.parametrize("unit_name", ["config", "files", "paths", "cli"])
def test_the_lowest_steps_need_no_torch(unit_name: str) -> None:
    for path in (p for p in FILES if unit(p) == unit_name):
        assert not {m.split(".")[0] for m in imported(path)} & {"torch", "numpy", "PIL", "safetensors"}


HEAVY = ["torch", "numpy", "PIL", "pydantic", "ruamel", "safetensors", "rich", "viceversa.config"]
PROBE = """
import io, sys
from contextlib import redirect_stdout
{statement}
for words in {commands}:
    sys.argv = ["viceversa", *words]
    with redirect_stdout(io.StringIO()) as said:
        try:
            from viceversa.cli import main
            main()
        except SystemExit as stop:
            assert stop.code == 0, (words, stop.code)
    assert "Usage: viceversa" in said.getvalue() or "0.1" in said.getvalue(), words
print(*[name for name in {heavy} if name in sys.modules])
"""


def loaded(statement: str, commands: list[list[str]]) -> list[str]:
    code = PROBE.format(statement=statement, commands=commands, heavy=HEAVY)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=400)
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def test_importing_the_package_and_help_of_every_command_are_light() -> None:
    from typer.main import get_command

    from viceversa.cli import program

    def every(command: object, words: list[str]) -> list[list[str]]:
        below = getattr(command, "commands", {})
        return [[*words, "--help"], *(line for name, sub in below.items() for line in every(sub, [*words, name]))]

    commands = every(get_command(program()), [])
    assert ["train", "--help"] in commands
    assert ["data", "check", "--help"] in commands
    assert loaded("import viceversa", []) == loaded("", [["--help"], ["--version"]]) == []
    assert set(loaded("", commands)) <= {"pydantic"}  # typer itself checks its options with it, where it is installed


def test_annotations_of_commands_are_not_postponed() -> None:
    for path in (p for p in FILES if unit(p) == "cli"):
        assert "__future__" not in imported(path), f"{path.name}: typer would evaluate its annotations three times"
