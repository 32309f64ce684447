"""The model that the studio offers to other programs, at the addresses of `viceversa serve`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from viceversa.serve.service import Service


class Offer:
    """None at first; the page Translate chooses one. `codecs` decode the studio's own pictures and uploads."""

    def __init__(self) -> None:
        from viceversa.serve.codecs import Codecs, Limits

        self.service: Service | None = None
        self.codecs = Codecs(limits=Limits(bytes=2**28, pixels=2**27))  # as large as the user's own may be

    def find(self) -> Service:
        """Return the service of the model; HTTPException if none is offered."""
        from fastapi import HTTPException

        if self.service is None:
            raise HTTPException(404, "no model is offered; choose one on the page Translate")
        return self.service

    async def choose(self, model: Path) -> None:
        """Offer a model in the place of the one before."""
        from nicegui import run

        from viceversa.serve.codecs import Codecs
        from viceversa.serve.service import Service, load

        translators = await run.io_bound(load, model)
        if translators:
            await self.close_service()
            self.service = Service(translators, Codecs())

    async def close_service(self) -> None:
        """End the service that there is."""
        if self.service is not None:
            service, self.service = self.service, None
            await service.close()

    async def close(self) -> None:
        """End all."""
        await self.close_service()
        self.codecs.close()
