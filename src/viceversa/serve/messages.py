"""Requests that are neither too large nor too slow; answers that say what browsers may do with them; pages."""

from __future__ import annotations

import asyncio
import time
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import Message, Receive, Send

PATIENCE, SLOWEST = 20.0, 50_000
"""Seconds for a body, and bytes in each second beyond them."""

HEADERS = {
    "Content-Security-Policy": "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'self'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
"""Of every answer that does not set them itself: nothing is loaded from, or shown in, pages from elsewhere."""


def limited(receive: Receive, max_body: int, connection: HTTPConnection | None = None) -> Receive:
    """Return what receives a body of so many bytes at most, at no slower than `SLOWEST`; else HTTPException.

    A `connection` that announces more is refused at once.
    """
    announced = connection.headers.get("content-length", "") if connection else ""
    if announced.isdecimal() and int(announced) > max_body:
        raise HTTPException(413, f"larger than {max_body} bytes")
    start, total, ended = time.monotonic(), 0, False

    async def receive_in_time() -> Message:
        nonlocal total, ended
        if ended:  # what follows tells that the client has gone, and may take any time
            return await receive()
        left = PATIENCE + total / SLOWEST - (time.monotonic() - start)
        try:
            message = await asyncio.wait_for(receive(), max(0.0, left))
        except asyncio.TimeoutError:
            raise HTTPException(408, "the upload was too slow", {"Connection": "close"}) from None
        total += len(message.get("body", b""))
        ended = not message.get("more_body", False)
        if total > max_body:
            raise HTTPException(413, f"larger than {max_body} bytes", {"Connection": "close"})
        return message

    return receive_in_time


def with_headers(send: Send) -> Send:
    """Return what sends an answer with `HEADERS`, where it has not its own."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return send_with_headers


@cache
def _environment() -> Environment:
    own = Path(__file__).parent / "templates"
    loader = FileSystemLoader([own, own.parents[1] / "report" / "templates"])  # its page.css
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def page(name: str, **values: object) -> str:
    """Return one of the pages in templates/."""
    return _environment().get_template(f"{name}.html.j2").render(values)
