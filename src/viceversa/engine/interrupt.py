"""Ctrl-C and its relatives: finish the step, save, and leave. A second Ctrl-C leaves at once.

SIGTERM is what `kill`, Kubernetes and spot instances send, SIGUSR1 what SLURM sends ahead of the time limit
(`--signal=USR1@120`), SIGHUP what a closed terminal sends. They may arrive several times, from several places; only a
person's second Ctrl-C means "now". A signal that was ignored when the program started, as nohup arranges, stays so.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType

NAMES = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP")
SIGNALS = [getattr(signal, name) for name in NAMES if name in signal.Signals.__members__]


class Interrupted(Exception):
    """Training was asked to stop and has saved; `signum` is the signal that asked."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


class Interrupt:
    """Whether this process was asked to stop while the block runs, and by which signal.

    `noted` is called at the first request; a second Ctrl-C raises KeyboardInterrupt. Of several processes (not `alone`)
    none is left at once: torchrun passes every Ctrl-C on, so that one arrives twice. Signals come to the main thread
    only; elsewhere nothing is noted.
    """

    def __init__(self, noted: Callable[[], object], alone: bool = True) -> None:
        self.signum, self.noted, self.alone = 0, noted, alone

    def __enter__(self) -> Interrupt:
        main = threading.current_thread() is threading.main_thread()
        heard = [signum for signum in SIGNALS if main and signal.getsignal(signum) is not signal.SIG_IGN]
        self.before = {signum: signal.signal(signum, self._hear) for signum in heard}
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self.before.items():
            signal.signal(signum, handler)

    def _hear(self, signum: int, frame: FrameType | None) -> None:
        if not self.signum:
            self.signum = signum
            self.noted()
        elif signum == signal.SIGINT and self.alone:
            raise KeyboardInterrupt
