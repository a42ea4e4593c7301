"""What an interrupt does while torch is imported, and how long work in threads hears of one."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, current_thread, main_thread

INTERRUPTED = 130  # exit code
_leaving = Event()


class LeavingError(Exception):
    """Raised in threads whose work nobody waits for any more."""


@contextmanager
def in_threads() -> Iterator[None]:
    """Around work in threads: however it is left, what still runs there is told by `heed`."""
    try:
        yield
    finally:
        _leaving.set()


def heed(*_: object) -> None:
    """For long work to call now and then. Raises LeavingError where nobody waits for it any more."""
    if _leaving.is_set():
        raise LeavingError


def stay() -> None:
    """All threads have ended: later work is waited for again."""
    _leaving.clear()


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """While torch is imported an interrupt ends the program on the spot: its code does not survive one, and of the site nothing
    has been written yet. Only the main thread hears of interrupts.
    """
    if current_thread() is not main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _leave(*_: object) -> None:
    os.write(2, b"interrupted\n")
    os._exit(INTERRUPTED)
