"""The exported folder in a real browser: what PyTorch computes, from pictures and the webcam, and no other server."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from support import serving
from viceversa.export import ExportOptions, export_model
from viceversa.export.web import ort_files
from viceversa.translator import Translator

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow
FAKE_CAMERA = """navigator.mediaDevices.getUserMedia = async () => {
  const canvas = Object.assign(document.createElement("canvas"), {width: 64, height: 48});
  const pen = canvas.getContext("2d");
  setInterval(() => { pen.fillStyle = `hsl(${performance.now() % 360} 90% 50%)`; pen.fillRect(0, 0, 64, 48); }, 20);
  return canvas.captureStream();
}"""


@pytest.fixture(scope="module")
def url(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    try:
        ort_files(None)
    except ValueError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("web") / "page"
    assert [done.direction for done in export_model(run, folder, ExportOptions(to="web"))] == ["AtoB", "BtoA"]
    with serving(partial(SimpleHTTPRequestHandler, directory=folder)) as address:
        yield f"{address}/"


@pytest.fixture
def tab(chromium: Browser, url: str) -> Iterator[Page]:
    """The page; nothing may complain, and nobody else be asked."""
    context = chromium.new_context(viewport={"width": 400, "height": 900})
    page, complaints, requests = context.new_page(), list[str](), list[str]()
    page.set_default_timeout(120_000)
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.add_init_script(FAKE_CAMERA)
    page.goto(url)
    page.wait_for_selector("body[data-ready]")
    yield page
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert complaints == []
    assert {one for one in requests if not one.startswith((url, "blob:", "data:"))} == set()
    context.close()


def shown(tab: Page) -> np.ndarray:
    with tab.expect_download() as download:
        tab.click("#save")
    return np.asarray(Image.open(download.value.path()).convert("RGB")).astype(int)


def test_a_picture_becomes_what_pytorch_makes_of_it(run: Path, tab: Page) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (32, 45, 3), np.uint8)  # its short side is as trained
    file = BytesIO()
    Image.fromarray(photo).save(file, "png")
    tab.set_input_files("#file", {"name": "photo.png", "mimeType": "image/png", "buffer": file.getvalue()})
    tab.wait_for_selector("#result:visible")
    assert abs(shown(tab) - np.asarray(Translator.load(run)(photo), int)).max() <= 1
    tab.click("text=B → A")
    tab.wait_for_selector("#arrow:has-text('B → A')")
    assert abs(shown(tab) - np.asarray(Translator.load(run, "BtoA")(photo), int)).max() <= 1
    slider = tab.locator(".slider")
    slider.locator("input").focus()
    for _ in range(10):
        tab.keyboard.press("ArrowRight")
    assert slider.evaluate("(element) => element.style.getPropertyValue('--split')") == "60%"


def test_the_webcam_is_translated_until_it_is_stopped(tab: Page) -> None:
    tab.click("#camera")
    tab.wait_for_selector("#result:visible")
    frames = {tab.locator("#status").get_attribute("data-milliseconds")}
    while len(frames) < 4:
        frames.add(tab.locator("#status").get_attribute("data-milliseconds"))
    tab.click("#camera")
    tab.wait_for_selector("#another:visible")
    assert shown(tab).shape == (32, 43, 3)


def test_what_is_no_picture_gets_a_sentence(tab: Page) -> None:
    tab.set_input_files("#file", {"name": "broken.png", "mimeType": "image/png", "buffer": b"nothing"})
    tab.wait_for_selector("#status:has-text('broken.png')")
    assert tab.locator("#result").is_hidden()
