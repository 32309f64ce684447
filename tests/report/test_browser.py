"""The page in a real browser: everything moves, nothing complains, and no request leaves the machine."""

from __future__ import annotations

import os
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from runs import lines, make_run, write_samples

from viceversa import report
from viceversa.report.compare import compare

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SCREENS = [(1400, "light"), (1400, "dark"), (400, "light"), (400, "dark")]
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

    def __init__(self, tab: Page, url: str) -> None:
        self.tab, self.complaints, self.requests = tab, list[str](), list[str]()
        tab.on("console", lambda message: self.complaints.append(message.text))
        tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        tab.on("request", lambda request: self.requests.append(request.url))
        tab.goto(url)

    def elsewhere(self) -> list[str]:
        own = self.tab.url.partition("#")[0]
        return [url for url in self.requests if not url.startswith("data:") and url.partition("#")[0] != own]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = make_run(tmp_path_factory.mktemp("browser"), "train.batch=4")
    finding = {"step": 300, "since": 100, "finding": "tint", "message": "reddish", "remedy": "method.identity=1"}
    lines(run / "doctor.jsonl", [{**finding, "severity": s, "picture": None} for s in ("note", "warning", "error")])
    return report.write(run)


def test_a_comparison_fits_and_can_be_read(chromium: Browser, runs: tuple[Path, Path], tmp_path: Path) -> None:
    compare(runs, tmp_path / "page.html")
    context = chromium.new_context(viewport={"width": 400, "height": 900}, color_scheme="dark")
    visit = Visit(context.new_page(), (tmp_path / "page.html").as_uri())
    assert visit.tab.evaluate(FITS)
    assert visit.tab.evaluate(CONTRAST) == []
    assert (visit.complaints, visit.elsewhere()) == ([], [])


@pytest.fixture(params=SCREENS, ids=lambda screen: f"{screen[0]}-{screen[1]}")
def visit(request: Any, chromium: Browser, written: Path) -> Iterator[Visit]:
    width, scheme = request.param
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    visit = Visit(context.new_page(), written.as_uri())
    yield visit
    assert visit.complaints == []
    assert visit.elsewhere() == []
    context.close()


def test_it_fits_the_screen_can_be_read_and_draws_every_curve(visit: Visit) -> None:
    tab = visit.tab
    assert tab.evaluate(FITS)
    assert tab.evaluate(CONTRAST) == []
    assert tab.locator(".plot canvas").count() == tab.locator(".plot").count() > 3
    assert tab.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    for table in tab.locator("summary").all():
        table.click()
    assert tab.evaluate(FITS)
    plot = tab.locator(".plot").nth(1)
    before = plot.locator(".u-legend").inner_text()
    plot.locator(".u-over").hover()
    assert plot.locator(".u-legend").inner_text() != before, "the values where one points"


def test_the_slider_between_before_and_after_moves_by_key_and_by_pointer(visit: Visit) -> None:
    slider = visit.tab.locator(".slider").first
    box = slider.bounding_box()
    assert box

    def shown() -> float:  # how far the edge is from the left
        edge = slider.locator(".edge").bounding_box()
        assert edge
        return (edge["x"] + 1 - box["x"]) / box["width"]

    assert shown() == pytest.approx(0.5, abs=0.02)
    slider.locator("input").focus()
    for _ in range(10):
        visit.tab.keyboard.press("ArrowRight")
    assert shown() == pytest.approx(0.6, abs=0.02)
    assert "40%" in slider.locator(".over").evaluate("(image) => getComputedStyle(image).clipPath")
    slider.locator("input").click(position={"x": box["width"] * 0.1, "y": box["height"] / 2})
    assert shown() == pytest.approx(0.1, abs=0.05)


def test_the_films_move_one_by_one_and_all_together(visit: Visit) -> None:
    tab = visit.tab

    def on() -> list[int]:
        return tab.locator(".screen").evaluate_all(ON)

    assert on() == [4] * 6
    tab.locator(".film > input").nth(1).focus()
    tab.keyboard.press("Home")
    assert on() == [4, 0, 4, 4, 4, 4]
    assert tab.locator(".film output").nth(1).inner_text() == "step 0"
    tab.locator("#master").focus()
    tab.keyboard.press("ArrowLeft")
    assert on() == [3] * 6
    assert tab.locator(".master output").inner_text() == "step 300"


def test_a_page_of_a_training_looks_for_news_only_when_it_is_served(chromium: Browser, tmp_path: Path) -> None:
    run = make_run(tmp_path, steps=(0, 100), finished=False)
    with report.ReportServer(run) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert server.server_address[0] == "127.0.0.1"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(server.url + "config.yaml")
        tab = chromium.new_page()
        tab.clock.install()
        served = Visit(tab, server.url)
        assert tab.locator(".screen img").count() == 2 * 6
        with tab.expect_response(server.url):  # it knows now of when the page is
            tab.clock.run_for(6_000)
        tab.wait_for_timeout(300)
        write_samples(run, 200, 0.4)
        os.utime(run / report.NAME, (1, 1))
        with tab.expect_navigation():
            tab.clock.run_for(6_000)
            tab.wait_for_timeout(500)
        assert tab.locator(".screen img").count() == 3 * 6
        assert served.complaints == []
        server.shutdown()
    still = chromium.new_page()
    still.clock.install()
    from_disk = Visit(still, (run / report.NAME).as_uri())
    still.clock.run_for(60_000)
    assert len([url for url in from_disk.requests if not url.startswith("data:")]) == 1
    assert from_disk.complaints == []
