"""The routes of the service, which the studio has as well."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import psutil
from fastapi import APIRouter, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from PIL import Image
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from pydantic import BaseModel
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect

from viceversa import __version__
from viceversa.config import Direction
from viceversa.data.image_data import ImageError
from viceversa.data.image_io import FORMATS
from viceversa.nets.weights import Card
from viceversa.paths import EXTENSIONS
from viceversa.serve.messages import limited, page
from viceversa.serve.security import Access, Guard
from viceversa.serve.service import BusyError, NoDirectionError, Service

ANSWERED = Counter("viceversa_answers", "Answers to POST /translate.", ["status"])
SECONDS = Histogram("viceversa_answer_seconds", "From a whole upload to its answer.")
TOGETHER = "PROMETHEUS_MULTIPROC_DIR"
"""Names the folder by which several processes count together, if it is set before prometheus_client is imported."""
FORMAT = f"^({'|'.join(sorted(suffix[1:] for suffix in EXTENSIONS))})$"
FORM = 2**16
"""Bytes of a form besides its picture."""
BINARY = {"schema": {"type": "string", "format": "binary"}}
PICTURE = {"type": "object", "required": ["image"], "properties": {"image": BINARY["schema"]}}
BODY = {
    "required": True,
    "content": {"image/*": BINARY, "application/octet-stream": BINARY, "multipart/form-data": {"schema": PICTURE}},
}
PROBLEMS = {
    400: "No picture that this model translates, or a direction that it does not have.",
    401: "No password, or a wrong one.",
    408: "The upload was too slow.",
    413: "The upload is too large.",
    503: "Too many pictures are waiting; Retry-After says for how many seconds to wait.",
}


class Problem(BaseModel):
    """What is wrong, in a line."""

    detail: str


ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The translation.", "content": {"image/*": BINARY, "application/octet-stream": BINARY}},
    **{status: {"description": text, "model": Problem} for status, text in PROBLEMS.items()},
}


def routes(find: Callable[[], Service]) -> APIRouter:
    """Return the routes over the service that `find` returns; it may raise HTTPException if there is none."""
    router = APIRouter()
    Image.init()  # completes Image.MIME

    @router.post("/translate", response_class=Response, responses=ANSWERS, openapi_extra={"requestBody": BODY})
    async def translate(
        request: Request,
        direction: Annotated[Direction | None, Query(description="Default: the first that the model has.")] = None,
        format: Annotated[str | None, Query(pattern=FORMAT, description="Default: that of the picture.")] = None,
        strength: Annotated[float, Query(ge=0, le=1, description="How much to change the picture.")] = 1.0,
    ) -> Response:
        """Translate a picture: the body, or the file "image" of a form. It keeps size, depth and colours."""
        status = 500
        try:
            answer = await _translated(find(), request, direction, format, strength)
            status = answer.status_code
            return answer
        except HTTPException as error:
            status = error.status_code
            raise
        finally:
            ANSWERED.labels(status).inc()

    @router.get("/info")
    def info() -> dict[str, Any]:
        """Tell what the model translates, and how much the server takes."""
        service = find()
        limits = service.codecs.limits
        return {
            "viceversa": __version__,
            "directions": {name: _facts(translator.card) for name, translator in service.translators.items()},
            "limits": {"bytes": limits.bytes, "pixels": limits.pixels, "queue": service.queue},
        }

    @router.get("/health")
    def health() -> dict[str, str]:
        """Tell that the server is there."""
        return {"status": "ok"}

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    def prometheus() -> Response:
        """Tell Prometheus how many pictures were translated, how fast, and how many wait."""
        return Response(exposition(), media_type=CONTENT_TYPE_LATEST)

    @router.get("/docs", include_in_schema=False)
    def docs(request: Request) -> HTMLResponse:
        return HTMLResponse(page("docs", schema=request.app.openapi(), address=str(request.base_url)))

    return router


def create_app(service: Service, access: Access) -> FastAPI:
    """Return the application that `viceversa serve` runs."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await service.close()

    app = FastAPI(title="viceversa", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan)
    app.include_router(routes(lambda: service))
    app.add_api_route("/", lambda: RedirectResponse("/docs"), include_in_schema=False)
    app.add_middleware(Guard, access=access, max_body=service.codecs.limits.bytes + FORM)
    return app


def exposition() -> bytes:
    """Return all metrics as Prometheus reads them; of several processes, the sums."""
    if TOGETHER not in os.environ:
        return generate_latest(REGISTRY)
    for file in Path(os.environ[TOGETHER]).glob("gauge_live*_*.db"):  # gauge_livesum_PID.db
        if not psutil.pid_exists(pid := int(file.stem.rpartition("_")[2])):
            mark_process_dead(pid)  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


async def _translated(
    service: Service, request: Request, direction: Direction | None, format: str | None, strength: float
) -> Response:
    """Return the answer to an upload; HTTPException for what cannot be done."""
    try:
        service.refuse_if_full()
        content = await _upload(request, service.codecs.limits.bytes)
        with SECONDS.time():
            picture, suffix = await service.translate(content, direction, format, strength)
    except BusyError as error:
        raise HTTPException(503, str(error), {"Retry-After": str(error.seconds)}) from None
    except (ImageError, NoDirectionError) as error:
        raise HTTPException(400, str(error)) from None
    except ClientDisconnect:
        raise HTTPException(400, "the upload broke off") from None
    return Response(picture, media_type=Image.MIME.get(FORMATS.get(suffix, ""), "application/octet-stream"))


async def _upload(request: Request, most: int) -> bytes:
    """Return the picture's file in a request."""
    request = Request(request.scope, limited(request.receive, most + FORM, request))
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return await request.body()
    async with request.form(max_files=1, max_fields=10) as form:
        image = form.get("image")
        if not isinstance(image, UploadFile):
            raise HTTPException(400, "the form has no file named image")
        return await image.read()


def _facts(card: Card) -> dict[str, Any]:
    channels = {"in_channels": card.in_channels, "out_channels": card.out_channels}
    return {"generator": card.generator["name"], **channels, "trained_on_pixels": card.size}
