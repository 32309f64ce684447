"""Runs side by side, and variants one after the other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from viceversa.report import compare as page
from viceversa.report.compare import compare

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Runs = tuple[Path, Path]


def words(path: Path) -> str:
    bare = re.sub(r"<(style|script).*?</\1>", " ", path.read_text("utf-8"), flags=re.S)
    return " ".join(re.sub(r"<[^>]*>", " ", bare).split())


@pytest.fixture(scope="module")
def compared(runs: Runs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("compared") / "page.html"
    line = {"step": 2, "direction": "AtoB", "weights": "ema", "metric": "kid[tiny]", "value": 0.25, "spread": 0.01}
    (runs[0] / "metrics.jsonl").write_text(json.dumps({**line, "baseline": None, "protocol": {"seed": 0}}) + "\n")
    compare(list(runs), out)
    return out


def test_a_comparison_shows_what_differs_and_each_run_on_the_same_inputs(compared: Path) -> None:
    said, html = words(compared), compared.read_text("utf-8")
    assert "method.name cyclegan cut" in said
    assert "generator.mask true false" in said
    assert "data.crop" not in said
    assert re.search(r"kid\[tiny\] ↓ two_way 0\.25 ± 0\.01 seed 0", said)
    assert html.count('alt="input, picture 1"') == 2, "one for each direction"
    for name in ("two_way", "one_way"):
        assert html.count(f'alt="{name}, picture 5"') == (2 if name == "two_way" else 1)
    assert html.count('alt="true answer, picture 5"') == 2


def test_figures_of_known_pictures() -> None:
    before = np.zeros((8, 8, 3), np.uint8)
    before[:4] = 200
    exam = page.Exam([before], [255 - before])
    inverted, kept = (page._figures(exam, [picture]) for picture in (255 - before, before))
    assert inverted["light and dark kept"] == pytest.approx(-1)
    assert inverted["L1 to the truth"] == 0
    assert kept["light and dark kept"] == pytest.approx(1)
    assert kept["changed"] == 0
    assert inverted["changed"] == pytest.approx((145 + 255) / 2 / 255)
    best = page._best(inverted, [inverted, kept], page.TRUTH)
    assert best == {figure.name for figure in page.TRUTH}
    assert not page._best(kept, [inverted, kept], page.TRUTH)


def test_names_are_short_and_differ() -> None:
    assert page.short([Path("a/runs/x"), Path("a/runs/y/z")]) == ["x", "y/z"]
    with pytest.raises(ValueError, match="the same run is named twice"):
        page.short([Path("a"), Path("b/../a")])


@pytest.mark.parametrize("out", ["page.png", "run"])
def test_the_last_word_is_the_page(runs: Runs, tmp_path: Path, out: str) -> None:
    with pytest.raises(ValueError, match=r"name a \.html file"):
        compare(list(runs), tmp_path / out)
    with pytest.raises(ValueError, match="two runs or more"):
        compare([runs[0]], tmp_path / "page.html")
    with pytest.raises(FileNotFoundError, match=r"not a run|no such run"):
        compare([runs[0], tmp_path / "nothing"], tmp_path / "page.html")


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (400, "dark")])
def test_a_comparison_in_a_browser(chromium: Browser, compared: Path, width: int, scheme: Any) -> None:
    tab = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    complaints: list[str] = []
    asked: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(compared.as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert tab.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")
    assert complaints == []
    assert [url for url in asked if not url.startswith("data:")] == [compared.as_uri()]
    tab.close()
