"""The studio against those who mean harm: paths, links, uploads; pages elsewhere, and strangers."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from nicegui.elements.upload_files import SmallFileUpload
from PIL import Image
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from support import environment, finish
from viceversa.serve.codecs import Codecs, Limits
from viceversa.serve.security import Access, Guard
from viceversa.studio.files import add_routes
from viceversa.studio.uploads import Arrivals
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


@pytest.fixture
def client(root: Path) -> Iterator[TestClient]:
    app, codecs = FastAPI(), Codecs()
    add_routes(app, Workspace(root), codecs)
    app.add_middleware(Guard, access=Access())
    yield TestClient(app, "http://localhost", raise_server_exceptions=False)
    codecs.close()


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


def arriving(name: str, content: bytes) -> SmallFileUpload:
    return SmallFileUpload(name, "image/png", content)


def test_uploads_are_limited_in_number_and_bytes_and_are_pictures(tmp_path: Path) -> None:
    picture, clip = io.BytesIO(), tmp_path / "clip.mp4"
    Image.new("RGB", (40, 30)).save(picture, "PNG")
    write_clip(clip, 64)
    small = picture.getvalue()
    codecs = Codecs(1, Limits(pixels=2000, files=5, unpacked=clip.stat().st_size + 4 * len(small)))
    arrivals = Arrivals(tmp_path, codecs)
    files = [("a.png", small), ("../a.png", small), ("page.html", b"<p>"), ("fake.png", b"<svg/>")]
    for name, content in [*files, ("large.mp4", clip.read_bytes()), ("sixth.png", small)]:
        finish(arrivals.take(arriving(name, content)))
    assert [line.partition(":")[0] for line in arrivals.refused] == [
        *("page.html", "fake.png", "large.mp4", "sixth.png"),
    ]
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["a-2.png", "a.png"]
    full = Arrivals(tmp_path, codecs)
    finish(full.take(arriving("b.png", bytes(codecs.limits.unpacked + 1))))
    assert len(full.refused) == 1
    codecs.close()


def write_clip(path: Path, side: int) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = side
        container.mux(stream.encode(av.VideoFrame(side, side, "yuv420p")))
        container.mux(stream.encode())


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


@pytest.mark.slow
def test_guessing_the_studios_password_is_slowed_down(studio: str) -> None:
    tries = [httpx.post(f"{studio}/login", data={"password": str(n)}, timeout=60).status_code for n in range(20)]
    assert tries[-1] == 429
    assert httpx.post(f"{studio}/login", data={"password": "secret"}, timeout=60).status_code == 429
