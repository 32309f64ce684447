"""The page in a real browser: everything moves, nothing complains, and no request leaves the machine."""

from __future__ import annotations

import os
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from runs import lines, make_run, write_samples

from support import serving
from viceversa import report
from viceversa.report.compare import compare

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FITS = "document.documentElement.scrollWidth <= innerWidth"
CONTRAST = """() => {
  const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    const own = getComputedStyle(element).backgroundColor;
    return own !== "rgba(0, 0, 0, 0)" || !element.parentElement ? own : ground(element.parentElement);
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || element.closest("script, style")) continue;
    const [a, b] = [light(getComputedStyle(element).color), light(ground(element))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) poor.push(element.tagName + ": " + element.textContent.slice(0, 40));
  }
  return poor;
}"""  # the ratio that WCAG 2 asks for, of all text to its ground
ON = """(screens) => screens.map((screen) =>
  [...screen.children].findIndex((image) => getComputedStyle(image).visibility === "visible"))"""


class Visit:
    """A tab, what its console said, and what it asked the network for."""

    def __init__(self, browser: Browser, url: str, width: int = 1400, dark: bool = False, clock: bool = False) -> None:
        scheme = "dark" if dark else "light"
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.tab, self.url, self.complaints, self.requests = context.new_page(), url, list[str](), list[str]()
        self.tab.set_default_timeout(120_000)  # a machine may be busy
        self.tab.on("console", lambda message: self.complaints.append(message.text))
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("request", lambda request: self.requests.append(request.url))
        if clock:
            self.tab.clock.install()
        self.tab.goto(url)

    def close(self) -> None:
        assert self.complaints == []
        assert {url for url in self.requests if not url.startswith("data:")} == {self.url}
        self.tab.context.close()


@pytest.fixture(scope="module")
def pages(runs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("browser")
    run = make_run(folder, "train.batch=4")
    finding = {"step": 300, "since": 100, "finding": "tint", "message": "reddish", "remedy": "method.identity=1"}
    lines(run / "doctor.jsonl", [{**finding, "severity": s, "picture": None} for s in ("note", "warning", "error")])
    compare(runs, folder / "comparison.html")
    return {"report": report.write(run).as_uri(), "comparison": (folder / "comparison.html").as_uri()}


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1400, 400])
@pytest.mark.parametrize("page", ["report", "comparison"])
def test_a_page_fits_the_screen_can_be_read_and_draws_every_curve(
    chromium: Browser, pages: dict[str, str], page: str, width: int, dark: bool
) -> None:
    visit = Visit(chromium, pages[page], width, dark)
    tab = visit.tab
    assert tab.evaluate(CONTRAST) == []
    assert tab.locator(".plot canvas").count() == tab.locator(".plot").count() > (3 if page == "report" else 0)
    assert tab.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    assert tab.evaluate(FITS)
    for table in tab.locator("summary").all():
        table.click()
    assert tab.evaluate(FITS)
    plot = tab.locator(".plot").first
    before = plot.locator(".u-legend").inner_text()
    plot.locator(".u-over").hover()
    assert plot.locator(".u-legend").inner_text() != before, "the values where one points"
    visit.close()


def test_sliders_move_by_key_and_by_pointer_and_films_alone_and_together(
    chromium: Browser, pages: dict[str, str]
) -> None:
    visit = Visit(chromium, pages["report"])
    tab, slider = visit.tab, visit.tab.locator(".slider").first
    box = slider.bounding_box()
    assert box

    def split() -> float:  # how far the edge is from the left
        edge = slider.locator(".edge").bounding_box()
        assert edge
        return (edge["x"] + 1 - box["x"]) / box["width"]

    assert split() == pytest.approx(0.5, abs=0.02)
    slider.locator("input").focus()
    for _ in range(10):
        tab.keyboard.press("ArrowRight")
    assert split() == pytest.approx(0.6, abs=0.02)
    assert "40%" in slider.locator(".over").evaluate("(image) => getComputedStyle(image).clipPath")
    slider.locator("input").click(position={"x": box["width"] * 0.1, "y": box["height"] / 2})
    assert split() == pytest.approx(0.1, abs=0.05)

    def on() -> list[int]:
        return tab.locator(".screen").evaluate_all(ON)

    assert on() == [4] * 6
    tab.locator(".film > input").nth(1).focus()
    tab.keyboard.press("Home")
    assert on() == [4, 0, 4, 4, 4, 4]
    assert tab.locator(".film output").nth(1).inner_text() == "step 0, 0 s"
    tab.locator("#master").focus()
    tab.keyboard.press("ArrowLeft")
    assert on() == [3] * 6
    assert tab.locator(".master output").inner_text().startswith("step 300")
    visit.close()


def test_a_page_of_a_training_looks_for_news_only_when_it_is_served(chromium: Browser, tmp_path: Path) -> None:
    run = make_run(tmp_path, steps=(0, 100), finished=False)
    page = report.write(run)
    with serving(partial(SimpleHTTPRequestHandler, directory=run)) as address:
        served = Visit(chromium, f"{address}/{page.name}", clock=True)
        tab = served.tab
        assert tab.locator(".screen img").count() == 2 * 6
        for _ in range(2):  # once it has asked again, it remembers the first answer: when the page was written
            with tab.expect_response(served.url):
                tab.clock.run_for(6_000)
        second = page.stat().st_mtime
        write_samples(run, 200, 0.4)
        report.write(run)
        os.utime(page, (second, second))  # the server tells whole seconds
        with tab.expect_navigation():
            tab.clock.run_for(6_000)
        tab.locator(".screen img").nth(3 * 6 - 1).wait_for(state="attached")
        assert tab.locator(".screen img").count() == 3 * 6
        served.close()
    from_disk = Visit(chromium, page.as_uri(), clock=True)
    from_disk.tab.clock.run_for(60_000)
    assert len([url for url in from_disk.requests if not url.startswith("data:")]) == 1
    from_disk.close()
