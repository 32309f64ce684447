"""Who may talk to a server: names, origins, and the password.

`Guard` stands in front of an ASGI application, for HTTP and WebSockets alike.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import re
import secrets
import socket
import time
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote

from itsdangerous import BadSignature, TimestampSigner
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from viceversa.config import ConfigError
from viceversa.serve.messages import limited, page, with_headers

LOOPBACK = ("localhost", "127.0.0.1", "::1")
SESSION = 30 * 24 * 3600
"""Seconds for which a browser need not ask for the password again."""
FREE_TRIES, LONGEST_WAIT, ADDRESSES = 5, 300.0, 10_000
LONGEST_LOGIN = 4096  # bytes of the form
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[\w.-]+)(:\d+)?", re.ASCII)
CHALLENGE = {"WWW-Authenticate": "Bearer"}


@dataclass(frozen=True)
class Access:
    """Where a server listens, and who may use it. ConfigError where others may reach it without a password."""

    host: str = "127.0.0.1"
    password: str = field(default="", repr=False)
    names: tuple[str, ...] = ()
    """Further names that it is reached by, such as that of a proxy."""
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    """Signs the cookies; the processes of one server share it."""

    def __post_init__(self) -> None:
        if not (self.password or self.is_local):
            raise ConfigError(f"--host {self.host}: others can reach it there; protect it with --password")

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def allows(self, name: str) -> bool:
        """Whether a Host header may hold this name: else a page elsewhere could have its own name lead here."""
        if name in (self.host.lower(), *LOOPBACK, *self.names):
            return True
        return not self.is_local and (name == socket.gethostname().lower() or is_address(name))


class Throttle:
    """Makes guessing slow: after some wrong passwords an address waits twice as long for each further try."""

    def __init__(self) -> None:
        self._failed = OrderedDict[str, tuple[int, float]]()

    def wait(self, address: str) -> float:
        """Return the seconds that an address must wait until it may try again."""
        return max(0.0, self._failed.get(address, (0, 0.0))[1] - time.monotonic())

    def note(self, address: str, right: bool) -> None:
        """Note a try."""
        count = self._failed.pop(address, (0, 0.0))[0] + 1
        if not right:
            pause = min(LONGEST_WAIT, 2.0 ** (count - FREE_TRIES)) if count >= FREE_TRIES else 0.0
            self._failed[address] = count, time.monotonic() + pause
        if len(self._failed) > ADDRESSES:
            self._failed.popitem(last=False)


class Guard:
    """Lets through only what comes by one of our names, from our own pages, with the password, not too large or slow.

    Args:
        app: What it stands in front of.
        access: Where the server listens, and its password.
        max_body: Bytes of a request, at most.
        open_paths: What may be asked without the password.
    """

    def __init__(
        self, app: ASGIApp, access: Access, max_body: int = 2**25, open_paths: Collection[str] = ("/health",)
    ) -> None:
        self.app, self.access, self.max_body, self.open_paths = app, access, max_body, open_paths
        self.throttle, self.signer = Throttle(), TimestampSigner(access.secret, digest_method=hashlib.sha256)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        answer = self.app
        try:
            connection = HTTPConnection(scope)
            self._refuse_elsewhere(connection)
            if scope["type"] == "http":
                receive = limited(receive, self.max_body, connection)
            if self.access.password and scope["path"] == "/login" and scope["type"] == "http":
                answer = await self._login(Request(scope, limited(receive, LONGEST_LOGIN)))
            else:
                self._refuse_strangers(connection)
        except HTTPException as error:
            in_browser = "text/html" in connection.headers.get("accept", "") and scope.get("method") == "GET"
            to_login = RedirectResponse(f"/login?next={quote(scope['path'])}", 303)
            answer = to_login if error.status_code == 401 and in_browser else refused(error)
        if scope["type"] == "http":
            await answer(scope, receive, with_headers(send))
        else:
            await (answer if answer is self.app else WebSocketClose(1008))(scope, receive, send)

    def _refuse_elsewhere(self, connection: HTTPConnection) -> None:
        """Refuse other names than ours (DNS rebinding), and what pages from elsewhere ask for (cross-site requests)."""
        host, origin = connection.headers.get("host", "").lower(), connection.headers.get("origin")
        name = HOST.fullmatch(host)
        if not (name and self.access.allows(name[1].strip("[]"))):
            raise HTTPException(421, "the server is not known by this name; allow it with --allow-host NAME")
        if origin is not None and origin.lower() not in (f"http://{host}", f"https://{host}"):
            raise HTTPException(403, "a page from elsewhere may not ask for this")

    def _refuse_strangers(self, connection: HTTPConnection) -> None:
        """Refuse who has neither the cookie nor the password."""
        if not self.access.password or connection.scope["path"] in self.open_paths or self._has_session(connection):
            return
        given = password_of(connection.headers.get("authorization", ""))
        if given is None:
            raise HTTPException(401, "a password is needed; send it as Authorization: Bearer PASSWORD", CHALLENGE)
        self._compare(connection, given)

    def _compare(self, connection: HTTPConnection, given: str) -> None:
        """Refuse a wrong password; while an address waits, nothing is compared."""
        address = address_of(connection)
        if (wait := self.throttle.wait(address)) > 0:
            raise HTTPException(429, "too many wrong passwords; wait", {"Retry-After": str(int(wait) + 1)})
        one, other = (hashlib.sha256(text.encode()).digest() for text in (given, self.access.password))
        right = hmac.compare_digest(one, other)
        self.throttle.note(address, right)
        if not right:
            raise HTTPException(401, "wrong password", CHALLENGE)

    async def _login(self, request: Request) -> Response:
        """Show the form, or take the password and set the cookie."""
        if request.method != "POST":
            return HTMLResponse(page("login"))
        form = parse_qs((await request.body()).decode("utf-8", "replace"))
        try:
            self._compare(request, form.get("password", [""])[0])
        except HTTPException as error:
            return HTMLResponse(page("login", error=error.detail), error.status_code, error.headers)
        target = request.query_params.get("next", "/")
        response = RedirectResponse(target if re.match(r"/(?![/\\])", target) else "/", 303)  # not to //elsewhere
        secure, value = request.url.scheme == "https", self.signer.sign(b"in").decode()
        response.set_cookie(
            cookie_name(request), value, max_age=SESSION, httponly=True, samesite="strict", secure=secure
        )
        return response

    def _has_session(self, connection: HTTPConnection) -> bool:
        try:
            return bool(self.signer.unsign(connection.cookies.get(cookie_name(connection), ""), max_age=SESSION))
        except BadSignature:
            return False


def refused(error: HTTPException) -> Response:
    """Return an error as FastAPI answers it."""
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)


def password_of(authorization: str) -> str | None:
    """Return the password in an Authorization header, Bearer or Basic with any user; None if there is none."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except ValueError:
            return ""
    return None


def address_of(connection: HTTPConnection) -> str:
    """Return where a request comes from; of IPv6 the network, as one customer has all of its addresses."""
    host = connection.client.host if connection.client else ""
    return str(ipaddress.ip_network((host, 64), strict=False)) if ":" in host else host


def cookie_name(connection: HTTPConnection) -> str:
    """Return the name of the cookie: browsers do not tell servers on several ports of one machine apart."""
    server = connection.scope.get("server") or ("", 0)
    return f"viceversa-{server[1]}"


def is_address(name: str) -> bool:
    """Whether a name is an IP address, which no page elsewhere can have for its name."""
    try:
        return bool(ipaddress.ip_address(name))
    except ValueError:
        return False
