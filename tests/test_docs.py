"""The documentation is true: its links lead somewhere, its commands and keys are understood, its examples run."""

import dataclasses
import importlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.main import get_command

from test_imports import LEVELS
from viceversa import methods
from viceversa.cli import program
from viceversa.config import COMPONENTS, Config, ConfigError, load_config, presets
from viceversa.metrics import METRICS
from viceversa.registry import options

ROOT = Path(__file__).parents[1]
PAGES = {path.name: path.read_text("utf-8") for path in [*ROOT.glob("*.md"), *sorted((ROOT / "docs").glob("*.md"))]}
PLACES = {path.name: path for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]}
EXAMPLES = [path for path in sorted((ROOT / "examples").glob("*.py")) if not path.with_suffix(".ipynb").exists()]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
KEY = re.compile(r"(method|generator|discriminator|objective|init|data|train)\.\w+")


def blocks(page: str, language: str) -> list[str]:
    return [text for found, text in BLOCK.findall(PAGES[page]) if found == language]


def spans(page: str) -> list[str]:
    """Inline code."""
    return re.findall(r"`([^`\n]+)`", BLOCK.sub("", PAGES[page]))


def commands(page: str) -> list[list[str]]:
    """The words after `viceversa` of every command line in console blocks."""
    found = []
    for block in blocks(page, "console"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ ").partition(" > ")[0], comments=True)
            if line.startswith("$ ") and "viceversa" in words:
                found.append(words[words.index("viceversa") + 1 :])
    return found


def in_pages(function: Any) -> list[Any]:
    now = [page for page in PAGES if page != "CHANGELOG.md" or function is links]  # it tells of what is gone
    return [pytest.param(page, found, id=f"{page}: {found}") for page in now for found in function(page)]


@pytest.fixture(scope="module", autouse=True)
def modules() -> Iterator[None]:
    """The modules of the examples can be imported."""
    before, known = list(sys.path), set(sys.modules)
    sys.path.append(str(ROOT / "examples"))
    yield
    sys.path[:] = before
    METRICS.pop("contrast", None)  # which my_parts.py adds
    for path in EXAMPLES:
        if path.stem not in known:
            sys.modules.pop(path.stem, None)


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def links(page: str) -> list[str]:
    targets = re.findall(r"\]\(([^)\s]+)\)", BLOCK.sub("", PAGES[page]))
    return sorted({target for target in targets if not re.match(r"\w+:", target)})


@pytest.mark.parametrize(("page", "target"), in_pages(links))
def test_links_lead_somewhere(page: str, target: str) -> None:
    name, _, anchor = target.partition("#")
    path = (PLACES[page].parent / name).resolve() if name else PLACES[page]
    assert path.exists()
    assert ROOT in path.parents
    if anchor:
        assert anchor in [slug(heading) for heading in re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.M)]


@lru_cache
def check(source: str, *overrides: str) -> None:
    """Raise ConfigError unless this can be built; a file or a run stands for the preset it was made of."""
    if source not in presets():
        assert source.endswith(".yaml") or "/" in source, f"there is no preset {source}"
        source = "cyclegan"
    methods.check(methods.resolve(load_config(source, overrides)))


@pytest.mark.parametrize(("page", "words"), in_pages(commands))
def test_commands_are_understood(page: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("viceversa.files.require", lambda path, kind: path)  # what they name is not there
    monkeypatch.setattr("viceversa.paths.local_copy", lambda path: path)
    command: Any = get_command(program())
    rest = words[2:] if words[0] == "--import" else list(words)
    if rest == ["--version"]:
        return
    while hasattr(command, "commands"):
        assert rest[0] in command.commands, f"no such command: {rest[0]}"
        name = rest.pop(0)
        command = command.commands[name]
    context = command.make_context(name, list(rest))  # raises a usage error for unknown options, missing arguments
    if words[0] in ("train", "config"):
        given = [context.params["source"], *(context.params["overrides"] or [])]
        check(*(given if "=" not in given[0] else ["cyclegan", *given]))
    if words[0] == "demo":
        check("water2wine-small", *(word for word in rest if "=" in word))
    if words[0] == "presets" and words[1:]:
        assert words[1] in presets()


def overrides(page: str) -> list[str]:
    """Inline code such as `data.load=72 data.crop=64`."""
    roots = "|".join(field.name for field in dataclasses.fields(Config))
    return sorted({span for span in spans(page) if re.fullmatch(rf"(({roots})(\.\w+)?=\S+ ?)+", span)})


@pytest.mark.parametrize(("page", "text"), in_pages(overrides))
def test_overrides_in_the_text_fit_a_preset(page: str, text: str) -> None:
    refused = []
    for preset in ("cyclegan", "pix2pix", "cut", "cyclegan-vae", "style", "pairs", "distillation"):
        try:
            return check(preset, *text.split())
        except ConfigError as error:
            refused.append(str(error))
    raise AssertionError(refused)


def keys(page: str) -> list[str]:
    return sorted({span for span in spans(page) if KEY.fullmatch(span)})


@pytest.mark.parametrize(("page", "key"), in_pages(keys))
def test_keys_in_the_text_exist(page: str, key: str) -> None:
    section, name = key.split(".")
    if section in COMPONENTS:
        known = {"name"}.union(*(options(cls) for cls in methods.TABLES[section].values()))
    else:
        known = {field.name for field in dataclasses.fields(getattr(Config(), section))}
    assert name in known


def test_every_preset_has_a_row() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \|", PAGES["presets.md"], re.M)
    assert sorted(rows) == sorted(presets())


def programs(page: str) -> list[str]:
    return sorted({span for span in spans(page) if re.match(r"viceversa [a-z]", span)})


@pytest.mark.parametrize(("page", "span"), in_pages(programs))
def test_commands_in_the_text_exist(page: str, span: str) -> None:
    command: Any = get_command(program())
    for word in span.split()[1:]:
        if not hasattr(command, "commands"):
            break
        assert word in command.commands
        command = command.commands[word]


def includes(page: str) -> list[tuple[str, str]]:
    """Files whose code a page includes, each with the name of what it takes from there."""
    return re.findall(r"^```\{literalinclude\} (\S+)\n:(?:pyobject|start-at): (.+)$", PAGES[page], re.M)


@pytest.mark.parametrize(("page", "included"), in_pages(includes))
def test_included_code_is_there(page: str, included: tuple[str, str]) -> None:
    file, name = included
    source = (ROOT / "docs" / file).read_text("utf-8")
    assert re.search(rf"^ *{re.escape(name)}|^ *(class|def) {name.rpartition('.')[2]}\b", source, re.M)


def test_the_staircase_is_the_one_that_is_enforced() -> None:
    steps = re.findall(r"^ *(\d+)  (\w+(?:  \w+)*)", PAGES["architecture.md"], re.M)
    drawn = {int(number): set(names.split()) for number, names in steps}
    assert drawn == dict(enumerate(LEVELS, 1))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_can_be_imported(path: Path) -> None:
    module = importlib.import_module(path.stem)
    assert module.__file__ == str(path)
    assert f"python examples/{path.name}" in module.__doc__ or path.stem in ("my_method", "my_parts")


SMALL = ["generator.width=2", "generator.blocks=1", "discriminator.width=2", "data.load=32", "data.crop=32"]


def test_the_example_method_goes_through_the_registry() -> None:
    words = ["method=my_method:OneWay", "method.content=3", *SMALL]
    config = methods.resolve(load_config("cyclegan", words))
    assert config.method == {"name": "my_method:OneWay", "content": 3.0, "shrink": 8}
    assert methods.describe(config)["method"].keys() == {"content", "shrink"}
    method = methods.build(config)
    batch = {world: torch.zeros(1, 3, 32, 32) for world in "AB"}
    assert [(update.group, list(update.losses)) for update in method.step(batch)] == [
        ("D", ["gan_D"]),
        ("G", ["gan_G", "content"]),
    ]
    with pytest.raises(ConfigError, match=r"method\.contents: .* did you mean content"):
        methods.resolve(load_config("cyclegan", ["method=my_method:OneWay", "method.contents=3"]))


def test_the_generator_and_the_objective_of_the_examples_work() -> None:
    words = ["generator=my_parts:Retint", "generator.layers=3", "objective=my_parts:Smooth", *SMALL[2:]]
    config = methods.resolve(load_config("cyclegan", words))
    assert methods.describe(config)["generator"].keys() == {"width", "layers"}
    method = methods.build(config)
    x = torch.rand(1, 3, 32, 32)
    assert method.translators()["AtoB"](x).shape == x.shape
    assert all(update.total.isfinite() for update in method.step({"A": x, "B": x}))
    with pytest.raises(ConfigError, match="layers"):
        methods.build(methods.resolve(load_config("cyclegan", [*words, "generator.layers=0"])))


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_asks_no_network(tmp_path: Path) -> None:
    sphinx = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", str(ROOT / "docs"), str(tmp_path)]
    done = subprocess.run(sphinx, capture_output=True, text=True, env=os.environ | {"GITHUB_REPOSITORY": ""})
    assert done.returncode == 0, done.stderr
    for page in tmp_path.rglob("*.html"):
        assert not re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=\"(?:https?:)?//", page.read_text("utf-8"))
