"""The studio against those who mean harm: paths, links, uploads; pages elsewhere, and strangers."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import av
import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from nicegui.elements.upload_files import SmallFileUpload
from PIL import Image
from starlette.requests import Request
from starlette.responses import Response
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from support import environment, finish
from viceversa.serve import messages
from viceversa.serve.codecs import Codecs, Limits
from viceversa.serve.security import Access, Guard
from viceversa.studio.files import Arrivals, add_routes, harmless_name
from viceversa.studio.workspace import OWN, Workspace


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace beside a secret, with links to it."""
    root = tmp_path / "work"
    for folder in (root / "photos", root / "runs" / "one", tmp_path / "secret"):
        folder.mkdir(parents=True)
    for path in (root / "photos" / "a.png", root / ".hidden.png", tmp_path / "secret" / "key.png"):
        Image.new("RGB", (8, 8)).save(path)
    (root / "notes.txt").write_text("secret")
    (root / "page.html").write_text("<script>fetch('/files/photos/a.png')</script>")
    (root / "photos" / "drawing.svg").write_text("<svg onload='alert(1)'/>")
    (root / "config.yaml").write_text("run: x")
    (root / "fake.png").write_text("<script>alert(1)</script>")
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "out.png").symlink_to(tmp_path / "secret" / "key.png")
    (root / "runs" / "two").symlink_to(tmp_path / "secret")
    return root


@dataclass
class Target:
    """The studio's files behind its guard, with a password, and a folder for uploads."""

    app: Guard
    folder: Path
    codecs: Codecs

    def status(self, path: str = "/files/photos/a.png", **headers: str) -> int:
        browser = TestClient(self.app, "http://localhost", raise_server_exceptions=False)
        return browser.get(path, headers={"Authorization": "Bearer secret"} | headers).status_code

    def guess(self) -> int:
        tries = [self.status(Authorization=f"Bearer {n}") for n in range(20)]
        return tries[-1] if self.status() == 429 else 0  # the right one has to wait, too

    def drip(self) -> int:
        """Send a byte at a time, for seconds."""
        statuses, sent = list[int](), count()

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(0.02)
            return {"type": "http.request", "body": b"x", "more_body": next(sent) < 100}

        async def send(message: Any) -> None:
            statuses.append(message.get("status"))

        head = [(b"host", b"localhost"), (b"authorization", b"Bearer secret")]
        scope = {"type": "http", "method": "POST", "path": "/sink", "headers": head, "query_string": b""}
        finish(self.app(scope, receive, send))
        return statuses[0]

    def post(self, size: int) -> int:
        browser = TestClient(self.app, "http://localhost")
        return browser.post("/sink", content=bytes(size), headers={"Authorization": "Bearer secret"}).status_code

    def upload(self, *files: tuple[str, bytes]) -> list[str]:
        """Return what stays of files that are dropped on a page."""
        arrivals = Arrivals(self.folder, self.codecs)
        for name, content in files:
            finish(arrivals.take(SmallFileUpload(name, "image/png", content)))
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture
def target(root: Path, codecs: Codecs, monkeypatch: pytest.MonkeyPatch) -> Target:
    async def sink(request: Request) -> Response:
        return Response(str(len(await request.body())))

    monkeypatch.setattr(messages, "PATIENCE", 0.3)
    app, folder = FastAPI(), root / "in"
    folder.mkdir()
    add_routes(app, Workspace(root), codecs)
    app.add_route("/sink", sink, methods=["POST"])
    return Target(Guard(app, Access(password="secret"), LIMITS.unpacked), folder, codecs)


@pytest.fixture(scope="module")
def codecs() -> Iterator[Codecs]:
    found = Codecs(1, LIMITS)
    yield found
    found.close()


@pytest.fixture
def client(target: Target) -> TestClient:
    headers = {"Authorization": "Bearer secret"}
    return TestClient(target.app, "http://localhost", raise_server_exceptions=False, headers=headers)


LIMITS = Limits(pixels=2000, unpacked=4_000_000)
SVG = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"


def picture(side: int = 30) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((side, side), 64).save(file, "PNG")
    return file.getvalue()


def zipped(files: dict[str, bytes], mode: int = 0o100644) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr, info.compress_type = mode << 16, zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return file.getvalue()


def clip(side: int) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", "mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = side
        container.mux(stream.encode(av.VideoFrame(side, side, "yuv420p")))
        container.mux(stream.encode())
    return file.getvalue()


ATTACKS: dict[str, tuple[Callable[[Target], object], object]] = {
    "traversal": (lambda t: t.status("/files/..%2fsecret%2fkey.png"), 404),
    "traversal by a name": (lambda t: t.upload(("../../secret/a.png", picture())), ["a.png"]),
    "traversal in a zip": (lambda t: t.upload(("a.zip", zipped({"../../evil.png": picture()}))), []),
    "absolute path in a zip": (lambda t: t.upload(("a.zip", zipped({"/tmp/evil.png": picture()}))), []),
    "Windows path in a zip": (lambda t: t.upload(("a.zip", zipped({"..\\evil.png": picture()}))), []),
    "symlink in a zip": (lambda t: t.upload(("a.zip", zipped({"a.png": b"../../../secret/key.png"}, 0o120777))), []),
    "half a zip": (lambda t: t.upload(("a.zip", zipped({"a.png": picture()})[:40])), []),
    "SVG and HTML in a zip": (lambda t: t.upload(("a.zip", zipped({"a.png": SVG, "b.html": b"<script>"}))), []),
    "symlink": (lambda t: t.status("/files/out/key.png"), 404),
    "zip bomb": (lambda t: t.upload(("a.zip", zipped({"a.png": picture() + bytes(10**7)}))), []),
    "image bomb": (lambda t: t.upload(("a.png", picture(60))), []),
    "video bomb": (lambda t: t.upload(("a.mp4", clip(64))), []),
    "SVG": (lambda t: t.upload(("a.svg", SVG), ("b.png", SVG)), []),
    "HTML": (lambda t: t.upload(("a.html", b"<script>"), ("b.png", b"<script>")), []),
    "oversize": (lambda t: t.post(LIMITS.unpacked + 1), 413),
    "oversize in all": (lambda t: t.upload(("a.png", picture() + bytes(LIMITS.unpacked))), []),
    "10,000 files": (lambda t: t.upload(("a.zip", zipped({f"{n}.png": picture(1) for n in range(10_001)}))), []),
    "wrong Host": (lambda t: t.status(Host="evil.example"), 421),
    "foreign Origin": (lambda t: t.status(Origin="https://evil.example"), 403),
    "missing password": (lambda t: t.status(Authorization=""), 401),
    "guessing passwords": (lambda t: t.guess(), 429),
    "slow client": (lambda t: t.drip(), 408),
    "half an upload": (lambda t: t.upload(("a.png", picture()[:400])), []),
}


@pytest.mark.parametrize(("attack", "refusal"), ATTACKS.values(), ids=list(ATTACKS))
def test_attacks_are_refused(target: Target, attack: Callable[[Target], object], refusal: object) -> None:
    assert attack(target) == refusal
    assert not list(target.folder.parents[1].rglob("evil*"))


def test_what_is_meant_well_passes(target: Target) -> None:
    assert target.status() == 200
    assert target.post(LIMITS.unpacked) == 200
    files = ("a.png", picture()), ("a.png", picture()), ("b.zip", zipped({"c.png": picture()})), ("d.mp4", clip(32))
    assert target.upload(*files) == ["a-2.png", "a.png", "b/c.png", "d.mp4"]


OUTSIDE = [
    "../secret/key.png",
    "%2e%2e/secret/key.png",
    "..%2fsecret%2fkey.png",
    "..%5csecret%5ckey.png",
    "%252e%252e/secret/key.png",
    "photos/..%2f..%2fsecret/key.png",
    "out/key.png",
    "out.png",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "photos/a.png%00.html",
    "photos/drawing.svg",
    "config.yaml",
    f"{OWN}/.lock",
    ".hidden.png",
    "notes.txt",
    "photos",
    "",
    f"{OWN}/queue/0001.json",
    "runs/two/key.png",
    "x" * 5000,
]


@pytest.mark.parametrize("route", ["files", "thumbs"])
@pytest.mark.parametrize("name", OUTSIDE)
def test_no_file_outside_is_shown(client: TestClient, route: str, name: str) -> None:
    assert client.get(f"/{route}/{name}").status_code == 404


@pytest.mark.parametrize("name", ["runs/two", "../secret", "out", "%2e%2e/secret", "/etc", "runs/none", ""])
def test_no_report_is_made_outside(client: TestClient, root: Path, name: str) -> None:
    assert client.get(f"/report/{name}").status_code == 404
    assert not list((root.parent / "secret").glob("*.html"))


def test_what_lies_in_the_workspace_cannot_act(client: TestClient) -> None:
    assert client.get("/files/photos/a.png").headers["content-type"] == "image/png"
    assert "attachment" in client.get("/files/photos/a.png?download=1").headers["content-disposition"]
    assert client.get("/thumbs/photos/a.png?side=999999").headers["content-type"] == "image/webp"
    page = client.get("/files/page.html").headers
    assert "sandbox" in page["content-security-policy"]
    assert "allow-same-origin" not in page["content-security-policy"]
    fake = client.get("/files/fake.png").headers
    assert (fake["content-type"], fake["x-content-type-options"]) == ("image/png", "nosniff")
    assert client.get("/thumbs/fake.png").status_code == 404


@pytest.mark.parametrize(
    ("name", "harmless"),
    [
        ("horse.jpg", "horse.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\horse.png", "horse.png"),
        (".bashrc", "bashrc"),
        ("..", "picture"),
        ("", "picture"),
        ("/", "picture"),
        ("a\x00b\n.png", "a_b_.png"),
        ("$(reboot);`x`.jpg", "_(reboot)_x_.jpg"),
        ("<img src=x>.png", "_img src_x_.png"),
        ("Pferd ä (2).png", "Pferd ä (2).png"),
        ("CON.png", "_CON.png"),
        ("-rf.png", "rf.png"),
    ],
)
def test_names(name: str, harmless: str) -> None:
    assert harmless_name(name) == harmless


def test_long_names_keep_their_suffix() -> None:
    assert harmless_name("x" * 300 + ".jpeg").endswith("x.jpeg")
    assert len(os.fsencode(harmless_name("ä" * 300 + ".png"))) < 255
    assert len(harmless_name("x." + "y" * 300)) < 120


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A studio with a password, and its address."""
    own = {name: value for name, value in environment().items() if name != "PYTEST_CURRENT_TEST"}  # NiceGUI looks
    own["VICEVERSA_PASSWORD"] = "secret"
    command = [sys.executable, "-m", "viceversa", "studio", ".", "--no-browser", "--port", "0"]
    root = tmp_path_factory.mktemp("work")
    with subprocess.Popen(command, cwd=root, env=own, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().partition(" ")[0]
        process.terminate()


RIGHT = {"Authorization": "Bearer secret"}
SOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport="


@pytest.mark.slow
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (RIGHT, 200),
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        (RIGHT | {"Host": "evil.example"}, 421),
        (RIGHT | {"Origin": "https://evil.example"}, 403),
        (RIGHT | {"Origin": "null"}, 403),
    ],
)
def test_pages_and_sockets_are_for_those_who_may(studio: str, headers: dict[str, str], status: int) -> None:
    guesses = "wrong" in headers.get("Authorization", "")  # too many would be answered with 429
    for path in ("/",) if guesses else ("/", "/train", "/runs", "/studio.css", f"{SOCKET}polling"):
        assert httpx.get(studio + path, headers=headers, timeout=60).status_code == status, path
    upload = httpx.post(f"{studio}/_nicegui/client/x/upload/1", headers=headers, files={"file": b""}, timeout=60)
    assert upload.status_code == (status if status != 200 else 404)
    others = {name: value for name, value in headers.items() if name not in ("Host", "Origin")}
    address = f"{studio.replace('http', 'ws')}{SOCKET}websocket"
    if status == 200:
        with connect(address, additional_headers=others) as connection:
            assert connection.recv(timeout=60)
    elif "Host" not in headers:
        origin: Any = headers.get("Origin")
        with pytest.raises(InvalidStatus), connect(address, additional_headers=others, origin=origin):
            pass
