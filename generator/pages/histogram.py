"""The histogram of all the norms of a table, as the path of a small drawing, and the words that read it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

import numpy as np

from generator.pages import wording
from generator.records import Largest

WIDTH, HEIGHT = 216, 22  # of the drawing, in its own units, above the line that marks what is shown
MARK = 2  # height of that line
FEWEST = 6  # connections; fewer the table itself shows at a glance


@dataclass(frozen=True)
class Histogram:
    """All connections of a neuron with one layer, by their norm."""

    bars: str  # path of the outline
    marks: str  # path of the noise floor and of the range that is shown; '' with neither
    caption: str


def histogram(largest: Largest, kernels: np.ndarray, unit: int) -> Histogram | None:
    """How the norms of a neuron's table are spread, those left out among them; None where that is not known or there are few.

    kernels: float32 `[rank, row, col]`, those of the table. Where they have weights at one position alone there was nothing to
    shuffle, and there is no noise floor. Heights go by the square root of the count, so that a single connection stays visible
    beside hundreds.
    """
    if largest.spread is None or largest.reach is None or largest.floor is None:
        return None
    counts, reach, floor = largest.spread[unit], float(largest.reach[unit]), float(largest.floor[unit])
    if not 0 < reach < np.inf or counts.sum() < FEWEST:
        return None
    norms = largest.norm[unit]
    norms = norms[np.isfinite(norms) & (norms > 0)]
    shuffled = np.count_nonzero((kernels != 0).any(0)) > 1 and np.isfinite(floor)
    every = largest.norm.shape[1] + largest.left_out
    count = f"{int(counts.sum()):,} norms" + (" above zero" if counts.sum() < every else "")
    caption = _caption(count, reach, norms, largest.left_out, floor if shuffled else None)
    marks = _floor_line(floor / reach) if shuffled else ""
    if largest.left_out and norms.size:
        marks += _shown_line(float(norms.min()) / reach)
    return Histogram(_outline(counts), marks, caption)


def _outline(counts: np.ndarray) -> str:
    """Bars of `counts` as one outline, neighbours of the same height in one stroke."""
    heights = np.rint(HEIGHT * np.sqrt(counts / counts.max())).astype(int)
    heights = np.where(counts > 0, np.maximum(heights, 1), 0).tolist()
    wide, path, level = WIDTH // len(counts), f"M0 {HEIGHT}", 0
    for height, run in groupby(heights):
        path += (f"v{level - height}" if height != level else "") + f"h{wide * len(list(run))}"
        level = height
    return path + (f"V{HEIGHT}" if level else "")


def _floor_line(place: float) -> str:
    """An upright line at `place`, 0..1; '' where the floor lies beyond the largest norm."""
    return f"M{round(WIDTH * place)} 0v{HEIGHT}" if place <= 1 else ""


def _shown_line(place: float) -> str:
    """A bar below the range from `place`, 0..1, to the end."""
    start = min(round(WIDTH * place), WIDTH - 1)
    return f"M{start} {HEIGHT}H{WIDTH}v{MARK}H{start}z"


def _caption(count: str, reach: float, shown: np.ndarray, left_out: int, floor: float | None) -> str:
    """What the drawing shows, in one line."""
    said = [f"All {count}, up to {wording.plain(reach)}"]
    if left_out and shown.size:
        said.append("Underlined: shown")
    if floor is not None:
        above = int((shown > floor).sum())
        more = " or more" if left_out and above == shown.size else ""
        line = "Line: noise floor" if floor <= reach else "Noise floor"
        said.append(f"{line} {wording.plain(floor)}, {above or 'none'}{more} above")
    return ". ".join(said) + "."
