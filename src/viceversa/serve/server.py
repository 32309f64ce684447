"""The processes that listen, and how they end: what was taken is finished first."""

from __future__ import annotations

import asyncio
import errno
import logging
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from multiprocessing.process import BaseProcess
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from viceversa.config import ConfigError
from viceversa.options import ServeOptions
from viceversa.paths import weights_file
from viceversa.serve.security import Access

IDLE = 20.0
"""Seconds after which a connection is cut that neither asks nor takes its answer."""
LAST_CALL = 0.7
"""Seconds in which a server that ends still takes connections, and again as many for what they ask."""
ENDING = (signal.SIGTERM, signal.SIGINT)
SPARE_CONNECTIONS = 128
"""Besides those of the queue."""


class ImpatientProtocol(H11Protocol):
    """HTTP (with headers of 64 KB at most) that cuts connections off whose client does not get on."""

    def connection_made(self, transport: Any) -> None:
        """Begin to watch."""
        super().connection_made(transport)
        self._watch((None, -1))

    def _watch(self, before: tuple[Any, int]) -> None:
        if self not in self.connections:  # lost, or become a WebSocket
            return
        now = self.cycle, self.transport.get_write_buffer_size()
        working = self.cycle is not None and not self.cycle.response_complete and not now[1]
        if now == before and not working:
            self.transport.abort()
        else:
            self.loop.call_later(IDLE, self._watch, now)


class GracefulServer(uvicorn.Server):
    """Ends in three steps: it takes what is on its way, then nothing more, and answers all that it took."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End."""
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        await asyncio.sleep(LAST_CALL)
        last = [connection for listener in sockets or () for connection in _accepted(listener)]
        for server in self.servers:
            server.close()
        for connection in last:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)
        await asyncio.sleep(LAST_CALL)  # a busy machine may not have read yet what the last ones ask for
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        state = self.lifespan.state
        return ImpatientProtocol(config=self.config, server_state=self.server_state, app_state=state)


def _accepted(listener: socket.socket) -> Iterator[socket.socket]:
    """Yield the connections that wait: the system would reset them with the listener."""
    listener.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            yield listener.accept()[0]


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; ConfigError if the port is taken or the host is not this machine."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(f"port {port} is taken; choose another with --port") from None
        raise ConfigError(f"--host {host}, --port {port}: cannot be listened on ({error.strerror})") from None


def address(listener: socket.socket) -> str:
    """Return where a socket listens, as a browser has it."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def make_server(app: Any, most: int) -> GracefulServer:
    """Return a server of an ASGI application that takes at most so many connections."""
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    config = uvicorn.Config(
        app,
        http=ImpatientProtocol,
        access_log=False,
        limit_concurrency=most,
        log_config=None,
        proxy_headers=False,  # else a client could name another address at each guess of the password
        server_header=False,
    )
    return GracefulServer(config)


def run_app(app: Any, listener: socket.socket, most: int) -> None:
    """Serve an ASGI application until a signal, and finish what was taken: SIGTERM returns, Ctrl-C raises."""
    before = signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn raises it again in the end
    try:
        make_server(app, most).run(sockets=[listener])
    finally:
        signal.signal(signal.SIGTERM, before)


def run(options: ServeOptions) -> None:
    """Serve in one process, or in several below this one."""
    access = Access(options.host, options.password, tuple(options.allow_host or ()))
    if not options.model.is_file():
        weights_file(options.model, best=options.best)  # or say what is missing, before torch is imported
    with closing(listen(options.host, options.port)) as listener:
        if options.workers == 1:
            _serve(options, access, listener)
            return
        with TemporaryDirectory(prefix="viceversa-") as folder:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
            _supervise(options, access, listener)


def _serve(options: ServeOptions, access: Access, listener: socket.socket) -> None:
    from viceversa.serve.app import create_app  # here, as all of these import torch
    from viceversa.serve.codecs import Codecs, Limits
    from viceversa.serve.service import Service, load

    with ThreadPoolExecutor(1) as other:
        codecs = Codecs(limits=Limits(options.max_size, options.max_pixels))
        starting = other.submit(codecs.start)
        service = Service(load(options.model, options.best, options.device), codecs, options.queue, options.batch)
        starting.result()
    if options.workers == 1:
        print(f"{address(listener)} translates {' and '.join(service.translators)}; Ctrl-C ends it", flush=True)
    run_app(create_app(service, access), listener, options.queue + SPARE_CONNECTIONS)


def _supervise(options: ServeOptions, access: Access, listener: socket.socket) -> None:
    """Keep so many processes going until a signal; one that fails by itself ends all."""
    asked: list[int] = []
    before = {name: signal.signal(name, lambda number, _: asked.append(number)) for name in ENDING}
    context = multiprocessing.get_context("spawn")

    def started() -> BaseProcess:
        process = context.Process(target=_work, args=(options, access, listener))
        process.start()
        return process

    workers = [started() for _ in range(options.workers)]
    print(f"{address(listener)} with {options.workers} processes; Ctrl-C ends it", flush=True)
    while not (failed := max(worker.exitcode or 0 for worker in workers)) and not asked:
        workers = [worker if worker.exitcode is None or worker.exitcode > 0 else started() for worker in workers]
        time.sleep(0.1)
    listener.close()  # else connections would be made here that nobody takes
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join()
    for name, handler in before.items():
        signal.signal(name, handler)
    if signal.SIGINT in asked:
        raise KeyboardInterrupt
    sys.exit(failed)


def _work(options: ServeOptions, access: Access, listener: socket.socket) -> None:
    """Serve in one of several processes; end with the one above."""

    def follow() -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ends one that does not serve yet at once, and its listener with it
    import torch

    torch.set_num_threads(max(1, torch.get_num_threads() // options.workers))
    Thread(target=follow, daemon=True).start()
    try:
        _serve(options, access, listener)
    except (ValueError, OSError) as error:
        print(f"viceversa: {error}", file=sys.stderr)
        sys.exit(1)
