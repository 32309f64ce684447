"""The whole way in a real browser: two folders become a model that translates a picture, and no request leaves."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from PIL import Image

from support import environment, free_port
from viceversa.data import water2wine
from viceversa.studio.trainings import Trainings
from viceversa.studio.workspace import Workspace

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow
PATIENCE = 240_000  # ms, on a busy machine
SMALL = {
    "generator.blocks": "1",
    "discriminator.width": "8",
    "data.load": "36",
    "data.crop": "32",
    "train.sample_every": "20 steps",
}


class Server:
    """A studio in a process of its own, which can be killed and started again."""

    def __init__(self, root: Path) -> None:
        self.root, self.port = root, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = [sys.executable, "-m", "viceversa", "studio", ".", "--no-browser", "--port", str(self.port)]
        own = {name: value for name, value in environment().items() if name != "PYTEST_CURRENT_TEST"}  # NiceGUI looks
        self.process = subprocess.Popen(words, cwd=self.root, env=own)
        for _ in range(600):
            try:
                urlopen(f"{self.url}/studio.js", timeout=1).close()
                return
            except (URLError, OSError):
                assert self.process.poll() is None
                time.sleep(0.1)
        raise AssertionError("the studio does not answer")

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    root = tmp_path / "work"
    water2wine.make(root / "glasses", size=32, count=12, test=4)
    for name in ("trainA", "trainB"):
        (root / "glasses" / name).rename(root / {"trainA": "water", "trainB": "wine"}[name])
    running = Server(root)
    running.start()
    yield running
    running.kill()
    for one in Trainings(Workspace(root)).all():
        if one.pid:
            os.kill(one.pid, signal.SIGKILL)


@pytest.fixture
def tab(chromium: Browser, server: Server) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1400, "height": 900}, accept_downloads=True)
    left, complaints = list[str](), list[str]()
    own = re.compile(rf"(http|ws)://127\.0\.0\.1:{server.port}/|data:|blob:")

    def refuse(route: Any) -> None:
        left.append(route.request.url)
        route.abort()

    context.route(lambda url: not own.match(url), refuse)
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.set_default_timeout(PATIENCE)
    yield page
    context.close()
    assert left == []
    assert complaints == []


def state(tab: Page, word: str) -> None:
    """Wait until the run on the page is in this state."""
    tab.locator(".status .pill", has_text=re.compile(f"^{word}$")).wait_for()


def test_from_two_folders_to_a_translated_picture(tab: Page, server: Server, tmp_path: Path) -> None:
    tab.goto(f"{server.url}/train")
    for place, name in enumerate(("water", "wine")):
        tab.get_by_label("Folder in the workspace").nth(place).fill(name)
        tab.locator(".picker").nth(place).get_by_text("12 pictures").wait_for()
    tab.get_by_role("button", name="Check the pictures").click()
    tab.locator(".finding", has_text="Few training images").wait_for()
    tab.get_by_role("radio", name="Change one thing").click()
    tab.get_by_label("Steps, instead of a time").fill("20000")  # it is stopped before
    tab.get_by_label("Detail", exact=True).fill("4")
    tab.get_by_role("button", name="All options").click()
    for section in ("generator", "discriminator", "data", "train"):
        tab.get_by_role("button", name=f'"{section}"').click()
    for key, value in SMALL.items():
        tab.get_by_label(key, exact=True).fill(value)
    tab.get_by_label("Name of the model").fill("wine")
    tab.get_by_role("button", name="Start training").click()
    tab.wait_for_url("**/run/runs/wine")
    tab.locator(".sample img").first.wait_for()

    server.kill()  # the training goes on
    server.start()
    tab.goto(f"{server.url}/run/runs/wine")
    tab.locator("output", has_text=re.compile("step [1-9]")).wait_for()
    tab.locator(".chart svg").first.wait_for()
    for _ in range(2):
        tab.get_by_role("button", name="Stop", exact=True).click()
        state(tab, "interrupted")
        before = tab.locator(".status span").inner_text()
        tab.get_by_role("button", name="Continue").click()
        state(tab, "in training")
    tab.get_by_role("button", name="Stop", exact=True).click()
    state(tab, "interrupted")
    assert int(before.split()[0].replace(",", "")) > 0
    tab.get_by_role("button", name="Translate with it").click()
    tab.wait_for_url("**/?run=runs/wine")
    picture = tmp_path / "holiday.png"
    Image.new("RGB", (48, 40), (90, 120, 200)).save(picture)
    tab.locator(".drop input[type=file]").set_input_files([picture])
    tab.locator(".result .slider").wait_for()
    with tab.expect_download() as one:
        tab.locator(".result").get_by_role("button", name="Download").click()
    with Image.open(one.value.path()) as translated:
        assert translated.size == (38, 32)  # its short side as in training
    with tab.expect_download() as every:
        tab.get_by_role("button", name="Download all").click()
    assert zipfile.ZipFile(io.BytesIO(every.value.path().read_bytes())).namelist() == ["holiday.png"]

    tab.goto(f"{server.url}/runs")
    tab.locator("article.run .pill", has_text="interrupted").wait_for()
