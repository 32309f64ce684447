"""Ctrl-C and its relatives: finish the step, save, and leave. A second Ctrl-C leaves at once.

SIGTERM is what `kill`, Kubernetes and spot instances send, SIGUSR1 what SLURM sends ahead of the time limit
(`--signal=USR1@120`), SIGHUP what a closed terminal sends. They may arrive several times, from several places; only a
person's second Ctrl-C means "now". A signal that was ignored when the program started, as nohup arranges, stays so.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

NAMES = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP")
SIGNALS = [getattr(signal, name) for name in NAMES if name in signal.Signals.__members__]


class Interrupted(Exception):
    """Training was asked to stop and has saved; `signum` is the signal that asked."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


class Interrupt:
    """Whether this process was asked to stop, and by which signal; `noted` is called at the first request.

    Of several processes none is left at once: torchrun passes every Ctrl-C on, so that one arrives twice.
    """

    def __init__(self, noted: Callable[[], None], alone: bool) -> None:
        self.signum, self.noted, self.alone = 0, noted, alone

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        """Note the first request; raise KeyboardInterrupt at a second Ctrl-C."""
        if not self.signum:
            self.signum = signum
            self.noted()
        elif signum == signal.SIGINT and self.alone:
            raise KeyboardInterrupt


@contextmanager
def listening(noted: Callable[[], None], alone: bool = True) -> Iterator[Interrupt]:
    """Note requests to stop while the block runs; only possible in the main thread, harmless elsewhere."""
    interrupt = Interrupt(noted, alone)
    main = threading.current_thread() is threading.main_thread()
    heard = [signum for signum in SIGNALS if main and signal.getsignal(signum) is not signal.SIG_IGN]
    before = {signum: signal.signal(signum, interrupt) for signum in heard}
    try:
        yield interrupt
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
