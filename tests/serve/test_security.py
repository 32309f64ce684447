"""Who is let through, and who is not: names, origins, passwords, bodies. Nothing here listens on a port."""

from __future__ import annotations

import asyncio
import base64
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from support import finish
from viceversa.config import ConfigError
from viceversa.serve import messages
from viceversa.serve.security import FREE_TRIES, SESSION, Access, Guard, Throttle, address_of

OWN = "http://127.0.0.1:8000"


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


async def socket(connection: WebSocket) -> None:
    await connection.accept()
    await connection.send_text("hello")
    await connection.close()


def client(access: Access | None = None, max_body: int = 1000, url: str = OWN) -> TestClient:
    routes = [Route("/{path:path}", echo, methods=["GET", "POST"]), WebSocketRoute("/socket", socket)]
    app = Guard(Starlette(routes=routes), access or Access(), max_body)
    return TestClient(app, url, follow_redirects=False)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:9000"}, 200),
        ({"Host": "[::1]:9000"}, 200),
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Host": "evil.example:8000"}, 421),
        ({"Host": "192.168.0.7"}, 421),
        ({"Host": "127.0.0.1/health?"}, 421),
        ({"Host": "127.0.0.1@evil.example"}, 421),
        ({"Host": ""}, 421),
        ({"Origin": OWN}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:9999"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://evil.example/127.0.0.1:8000"}, 403),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_names_and_origins(method: str, headers: dict[str, str], status: int) -> None:
    assert client().request(method, "/", headers=headers).status_code == status


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Host": "evil.example"}])
def test_a_page_elsewhere_cannot_open_a_socket(headers: dict[str, str]) -> None:
    browser = client()
    with browser.websocket_connect("/socket", headers={"Origin": OWN, "Host": "127.0.0.1:8000"}) as connection:
        assert connection.receive_text() == "hello"
    with (
        pytest.raises(WebSocketDisconnect),
        browser.websocket_connect("/socket", headers={"Host": "127.0.0.1:8000"} | headers),
    ):
        pass


def test_other_hosts_need_a_password() -> None:
    for host in ("0.0.0.0", "::", "192.168.0.7", "example.org", ""):
        with pytest.raises(ConfigError):
            Access(host)
        assert not Access(host, "secret").is_local
    for host in ("127.0.0.1", "127.0.0.2", "localhost", "::1"):
        assert Access(host).is_local


def test_an_open_server_is_reached_by_its_addresses_and_names() -> None:
    access = Access("0.0.0.0", "secret", ("pictures.example",))
    for name, status in (("192.168.0.7", 200), ("pictures.example", 200), ("evil.example", 421)):
        headers = {"Host": name, "Authorization": "Bearer secret"}
        assert client(access).get("/", headers=headers).status_code == status


def basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ("Bearer secret", 200),
        ("bearer secret", 200),
        (basic("me:secret"), 200),
        (basic(":secret"), 200),
        ("Bearer wrong", 401),
        ("Bearer", 401),
        ("Bearer secret\u00e9", 401),
        ("Basic !!!", 401),
        (basic("secret"), 401),
        ("secret", 401),
        ("", 401),
    ],
)
def test_the_password_of_programs(given: str, status: int) -> None:
    answer = client(Access(password="secret")).get("/", headers={"Authorization": given.encode()})
    assert answer.status_code == status
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)


def test_only_health_is_open() -> None:
    stranger = client(Access(password="secret"))
    assert stranger.get("/health").status_code == 200
    for path in ("/health/", "/health/../", "/login/x", "//health", "/%68ealth2", "/metrics", "/openapi.json"):
        assert stranger.get(path).status_code == 401, path
    with pytest.raises(WebSocketDisconnect), stranger.websocket_connect("/socket", headers={"Host": "127.0.0.1"}):
        pass
    with pytest.raises(WebSocketDisconnect), stranger.websocket_connect("/login", headers={"Host": "127.0.0.1"}):
        pass


@pytest.mark.parametrize(
    ("wanted", "led_to"),
    [("/runs?x=1", "/runs?x=1"), ("//evil.example", "/"), ("https://evil.example", "/"), ("/\\evil.example", "/")],
)
def test_a_browser_logs_in_with_a_cookie(wanted: str, led_to: str) -> None:
    browser = client(Access(password="secret"))
    page = browser.get("/runs", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["location"]) == (303, "/login?next=/runs")
    assert browser.get("/login").status_code == 200
    assert browser.post("/login", data={"password": "wrong"}).status_code == 401
    answer = browser.post("/login", params={"next": wanted}, data={"password": "secret"})
    assert (answer.status_code, answer.headers["location"]) == (303, led_to)
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert browser.get("/runs").status_code == 200


def test_a_cookie_cannot_be_made_up_or_outlived(monkeypatch: pytest.MonkeyPatch) -> None:
    access = Access(password="secret")
    browser = client(access)
    browser.post("/login", data={"password": "secret"})
    ((name, value),) = browser.cookies.items()
    what, until, signature = value.split(".")
    later = until[:-1] + chr(ord(until[-1]) ^ 1)
    forged = f"{what}.{later}.{signature}", f"out.{until}.{signature}", f"{what}.{until}.", f"{value[:-1]}0x"
    for made_up in ("", ".", "x.y", what, signature, *forged):
        stranger = client(access)
        stranger.cookies.set(name, made_up)
        assert stranger.get("/").status_code == 401, made_up
    assert client(Access(password="secret")).get("/", headers={"Cookie": f"{name}={value}"}).status_code == 401
    assert client(access).get("/", headers={"Cookie": f"{name}={value}"}).status_code == 200
    end = time.time() + SESSION + 2
    monkeypatch.setattr(time, "time", lambda: end)
    assert client(access).get("/", headers={"Cookie": f"{name}={value}"}).status_code == 401


def test_guessing_is_slowed_down_for_who_guesses(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    browser = client(Access(password="secret"))
    tries = [browser.get("/", headers={"Authorization": f"Bearer {n}"}).status_code for n in range(20)]
    assert tries == [401] * FREE_TRIES + [429] * (20 - FREE_TRIES)
    right = {"Authorization": "Bearer secret"}
    assert browser.get("/", headers=right).status_code == 429  # nothing is compared
    assert int(browser.post("/login", data={"password": "secret"}).headers["retry-after"]) >= 1
    other = TestClient(browser.app, OWN, client=("10.0.0.9", 1))
    assert other.get("/", headers=right).status_code == 200
    now += 2
    assert browser.get("/", headers=right).status_code == 200
    assert browser.get("/", headers={"Authorization": "Bearer x"}).status_code == 401  # counted anew


def test_each_further_guess_waits_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    throttle, waits = Throttle(), []
    for _ in range(FREE_TRIES + 12):
        throttle.note("a", False)
        waits.append(throttle.wait("a"))
        now += waits[-1]
    assert waits[:FREE_TRIES] == [0, 0, 0, 0, 1]
    assert waits[FREE_TRIES:] == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 300]
    assert throttle.wait("b") == 0


def test_an_ipv6_customer_is_one_address() -> None:
    def of(host: str) -> str:
        return address_of(Request({"type": "http", "client": (host, 1), "headers": []}))

    assert of("2001:db8::1") == of("2001:db8::2:0:0:1") != of("2001:db8:0:1::1")
    assert of("10.0.0.1") != of("10.0.0.2")


def chunks(size: int) -> Any:
    yield from (b"x" * 100 for _ in range(size // 100))


@pytest.mark.parametrize(("body", "status"), [(b"x" * 1000, 200), (b"x" * 1001, 413)])
def test_large_bodies(body: bytes, status: int) -> None:
    assert client().post("/", content=body).status_code == status


@pytest.mark.parametrize(("size", "status"), [(1000, 200), (1100, 413), (10_000, 413)])
def test_large_bodies_without_a_length(size: int, status: int) -> None:
    assert client().post("/", content=chunks(size)).status_code == status


def test_slow_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "PATIENCE", 0.05)
    statuses = []

    async def drip() -> dict[str, Any]:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def send(message: Any) -> None:
        statuses.append(message.get("status"))

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"host", b"localhost")], "query_string": b""}
    app = Guard(Starlette(routes=[Route("/", echo, methods=["POST"])]), Access())
    finish(app(scope, drip, send))
    assert statuses[0] == 408


def test_answers_let_nothing_in_from_outside() -> None:
    headers = client().get("/").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "http" not in headers["content-security-policy"]
    assert "access-control-allow-origin" not in headers


def test_pages_ask_for_nothing_outside() -> None:
    for path in (Path(messages.__file__).parent / "templates").glob("*"):
        assert "//" not in path.read_text("utf-8").replace("http://127.0.0.1", ""), path
