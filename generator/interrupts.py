"""What an interrupt does while torch is imported."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread

INTERRUPTED = 130  # exit code


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
