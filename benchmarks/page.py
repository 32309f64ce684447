"""How long does the exported web page take for a picture? In headless Chromium, one thread of WebAssembly.

    viceversa export RUN page --to web
    python benchmarks/page.py page [page2 ...] --picture photo.jpg

Each folder is served by `python -m http.server`. The picture is translated as often as told, at the size that the page
offers first, or --size; the times are those that the page shows.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

MILLISECONDS = "document.querySelector('#status').dataset.milliseconds"


def measure(folder: Path, picture: Path, times: int, size: str | None) -> None:
    """Serve a folder, open it, translate the picture; print what the page says and who was asked for anything."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(2)
        with sync_playwright() as playwright:
            path = shutil.which("chromium") or shutil.which("google-chrome")  # else the one that Playwright installed
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
            page = browser.new_page()
            page.set_default_timeout(600_000)
            asked = list[str]()
            page.on("request", lambda request: asked.append(request.url))
            page.goto(f"http://127.0.0.1:{port}/")
            page.wait_for_selector("body[data-ready]")
            if size:
                page.select_option("#size", size)
            found = list[float]()
            last = None
            for _ in range(times + 1):
                page.set_input_files("#file", [])
                page.set_input_files("#file", str(picture))
                page.wait_for_function(f"last => ({MILLISECONDS} ?? null) !== last", arg=last)
                last = page.locator("#status").get_attribute("data-milliseconds")
                found.append(float(last or 0))
            words = page.locator("#status").inner_text()
            browser.close()
    finally:
        server.kill()
        server.wait()
    others = {one for one in asked if not one.startswith((f"http://127.0.0.1:{port}/", "blob:", "data:"))}
    print(
        f"{folder}: {words.rpartition(',')[0]}: the first {found[0]:.0f} ms, then {min(found[1:]):.0f} at least, "
        f"{statistics.median(found[1:]):.0f} in the middle; other servers asked: {len(others)}"
    )


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--picture", type=Path, required=True)
    parser.add_argument("--size", help="one that the page offers: once, twice, four times the training's")
    parser.add_argument("--times", type=int, default=10)
    args = parser.parse_args()
    for folder in args.folders:
        measure(folder, args.picture, args.times, args.size)


if __name__ == "__main__":
    main()
