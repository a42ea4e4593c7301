"""What a long build says of itself: bars on a terminal, one plain line a stage elsewhere, nothing when quiet."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

Step = Callable[[int], None]


class Progress:
    """Tells of the stages of one run; all of it goes to `stream`, the standard error unless given."""

    def __init__(self, quiet: bool = False, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._live = not quiet and _can_draw(self._stream)

    def note(self, text: str) -> None:
        """One line in between."""
        if not self._quiet:
            print(text, file=self._stream, flush=True)

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Step]:
        """A stage of `total` steps, or of a number not known beforehand; `step(n)` says that n more are done.

        A finished stage leaves one line with its count and time. One that fails leaves none: the error speaks.
        """
        began, done = time.monotonic(), 0

        def count(steps: int = 1) -> None:
            nonlocal done
            done += steps
            draw(steps)

        with self._bar(name, total) as draw:
            yield count
        self.note(f"{name}: {f'{done:,} in ' if done else ''}{duration(time.monotonic() - began)}")

    @contextmanager
    def _bar(self, name: str, total: int | None) -> Iterator[Step]:
        if not self._live:
            yield lambda steps: None
            return
        console = Console(file=self._stream, force_terminal=True)
        with Bars(*_columns(total), console=console, transient=True) as bars:
            task = bars.add_task(name, total=total)
            yield lambda steps: bars.advance(task, steps)


def _columns(total: int | None) -> tuple[ProgressColumn, ...]:
    name = TextColumn("{task.description}", markup=False)
    if total is None:
        return SpinnerColumn(), name, TimeElapsedColumn()
    return name, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("left")


def _can_draw(stream: TextIO) -> bool:
    """Whether the stream is a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM", "") != "dumb"


def duration(seconds: float) -> str:
    """0.04 -> '0.0 s'; 75 -> '1 min 15 s'; 3700 -> '1 h 1 min'."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
