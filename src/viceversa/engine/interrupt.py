"""Ctrl-C and its relatives: finish the step, save, and leave. A second Ctrl-C leaves at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(Exception):
    """Training was asked to stop and has saved; `signum` is the signal that asked."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


class Request:
    """Whether somebody asked to stop, and by which signal; `noted` and `leaving` are called at the two requests."""

    def __init__(self, noted: Callable[[], None], leaving: Callable[[], None]) -> None:
        self.signum = 0
        self.noted, self.leaving = noted, leaving

    def __bool__(self) -> bool:
        return self.signum != 0

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        """Note the first request; at the second, die of the signal as if it had never been caught."""
        if self.signum:
            self.leaving()
            os._exit(128 + signum)
        else:
            self.signum = signum
            self.noted()


@contextmanager
def listening(noted: Callable[[], None], leaving: Callable[[], None]) -> Iterator[Request]:
    """Note SIGINT and SIGTERM while the block runs; only possible in the main thread, harmless elsewhere."""
    request = Request(noted, leaving)
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {signum: signal.signal(signum, request) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
