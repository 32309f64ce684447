"""The studio against those who mean harm: paths, links, uploads; pages elsewhere, and strangers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from support import environment, finish
from viceversa.serve.security import Access, Guard
from viceversa.studio.files import add_routes
from viceversa.studio.offer import Offer
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
    (root / "fake.png").write_text("<script>alert(1)</script>")
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "out.png").symlink_to(tmp_path / "secret" / "key.png")
    (root / "runs" / "two").symlink_to(tmp_path / "secret")
    return root


@pytest.fixture
def client(root: Path) -> Iterator[TestClient]:
    app, offer = FastAPI(), Offer()
    add_routes(app, SimpleNamespace(workspace=Workspace(root), offer=offer))  # type: ignore[arg-type]
    app.add_middleware(Guard, access=Access())
    yield TestClient(app, "http://localhost", raise_server_exceptions=False)
    finish(offer.close())


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
    assert client.get("/thumbs/photos/a.png?side=999999").headers["content-type"] == "image/webp"
    page = client.get("/files/page.html").headers
    assert "sandbox" in page["content-security-policy"]
    assert "allow-same-origin" not in page["content-security-policy"]
    fake = client.get("/files/fake.png").headers
    assert (fake["content-type"], fake["x-content-type-options"]) == ("image/png", "nosniff")
    assert client.get("/thumbs/fake.png").status_code == 404


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
