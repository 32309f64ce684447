"""Ctrl-C and its relatives: finish the step, save, and leave. A second Ctrl-C leaves at once.

SIGTERM is what `kill`, Kubernetes and spot instances send, SIGUSR1 what SLURM sends ahead of the time limit
(`--signal=USR1@120`). They may arrive several times, from several places; only a person's second Ctrl-C means "now".
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ASK = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if name in signal.Signals.__members__]


class Interrupted(Exception):
    """Training was asked to stop and has saved; `signum` is the signal that asked."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


class Request:
    """Whether somebody asked to stop, and by which signal.

    `noted` is called at the first request, `leaving` at a second Ctrl-C; without it that is ignored: torchrun passes
    every Ctrl-C on, so that it arrives twice.
    """

    def __init__(self, noted: Callable[[], None], leaving: Callable[[], None] | None) -> None:
        self.signum = 0
        self.noted, self.leaving = noted, leaving

    def __bool__(self) -> bool:
        return self.signum != 0

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        """Note the first request; at a second Ctrl-C, die of it as if it had never been caught."""
        if not self.signum:
            self.signum = signum
            self.noted()
        elif signum == signal.SIGINT and self.leaving:
            self.leaving()
            os._exit(128 + signum)


@contextmanager
def listening(noted: Callable[[], None], leaving: Callable[[], None] | None = None) -> Iterator[Request]:
    """Note requests to stop while the block runs; only possible in the main thread, harmless elsewhere."""
    request = Request(noted, leaving)
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {signum: signal.signal(signum, request) for signum in ASK}
    try:
        yield request
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
