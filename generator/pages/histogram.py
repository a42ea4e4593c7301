"""The histogram of all the norms of a table, as the path of a small drawing, and the words that read it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from generator.pages import wording
from generator.records import Largest

WIDTH, HEIGHT = 216, 22  # of the drawing, in its own units, above the line that marks what is shown
MARK = 2  # height of that line
FEWEST = 6  # connections; fewer the table itself shows at a glance


class Histogram(NamedTuple):
    """All connections of a neuron with one layer, by their norm."""

    bars: str  # path of the outline
    marks: str  # path of the noise floor and of the range that is shown; '' with neither
    caption: str


class Histograms:
    """How the norms of the tables of many neurons are spread, those left out among them.

    Heights go by the square root of the count, so that a single connection stays visible beside hundreds.
    """

    def __init__(self, largest: Largest, picked: slice | np.ndarray, norm: np.ndarray, kernels: np.ndarray) -> None:
        """`picked` neurons of a layer; norm `[neuron, rank]` and kernels `[neuron, rank, row, col]` are theirs alone."""
        self.known = largest.spread is not None and largest.reach is not None and largest.floor is not None
        if largest.spread is None or largest.reach is None or largest.floor is None:
            return
        counts, reach, floor = (np.asarray(values)[picked] for values in (largest.spread, largest.reach, largest.floor))
        self.left_out, self.every = largest.left_out, norm.shape[1] + largest.left_out
        shown = np.isfinite(norm) & (norm > 0)
        self.total = counts.sum(1).tolist()
        self.heights, self.reach, self.floor = heights(counts), reach.tolist(), floor.tolist()
        self.shown = shown.sum(1).tolist()
        self.least = np.where(shown, norm, np.inf).min(1, initial=np.inf).tolist()
        self.above = (shown & (norm > floor[:, None])).sum(1).tolist()
        # where they have weights at one position alone there was nothing to shuffle, and there is no noise floor
        self.shuffled = (((kernels != 0).any(1).sum((1, 2)) > 1) & np.isfinite(floor)).tolist()

    def of(self, neuron: int) -> Histogram | None:
        """That of one neuron; None where it is not known or there are few connections."""
        if not self.known or not 0 < self.reach[neuron] < np.inf or self.total[neuron] < FEWEST:
            return None
        reach, some = self.reach[neuron], self.left_out > 0 and self.shown[neuron] > 0
        marks = _floor_line(self.floor[neuron] / reach) if self.shuffled[neuron] else ""
        marks += _shown_line(self.least[neuron] / reach) if some else ""
        return Histogram(_outline(self.heights[neuron].tolist()), marks, self._caption(neuron, some))

    def _caption(self, neuron: int, some: bool) -> str:
        """What the drawing shows, in one line; `some`: whether it shows a part of the connections."""
        total, reach, floor = self.total[neuron], self.reach[neuron], self.floor[neuron]
        said = f"All {total:,} norms{' above zero' if total < self.every else ''}, up to {wording.plain(reach)}. "
        said += "Underlined: shown. " if some else ""
        if not self.shuffled[neuron]:
            return said[:-1]
        above = self.above[neuron]
        more = " or more" if self.left_out and above == self.shown[neuron] else ""
        line = "Line: noise floor" if floor <= reach else "Noise floor"
        return f"{said}{line} {wording.plain(floor)}, {above or 'none'}{more} above."


def heights(counts: np.ndarray) -> np.ndarray:
    """Heights of the bars of counts `[neuron, bin]`, int of the same shape: none above zero is lost."""
    most = np.maximum(counts.max(1, keepdims=True, initial=0), 1)
    drawn = np.rint(HEIGHT * np.sqrt(counts / most)).astype(np.int64)
    return np.where(counts > 0, np.maximum(drawn, 1), 0)


_STEPS = {step: f"v{step}" for step in range(-HEIGHT, HEIGHT + 1)}


def _outline(bars: list[int]) -> str:
    """Bars of these heights as one outline, neighbours of the same height in one stroke."""
    wide, path, level, run = WIDTH // len(bars), [f"M0 {HEIGHT}"], 0, 0
    for height in bars:
        if height != level:
            if run:
                path.append(f"h{run}")
            path.append(_STEPS[level - height])
            level, run = height, 0
        run += wide
    path.append(f"h{run}V{HEIGHT}" if level else f"h{run}")
    return "".join(path)


def _floor_line(place: float) -> str:
    """An upright line at `place`, 0..1; '' where the floor lies beyond the largest norm."""
    return f"M{round(WIDTH * place)} 0v{HEIGHT}" if place <= 1 else ""


def _shown_line(place: float) -> str:
    """A bar below the range from `place`, 0..1, to the end."""
    start = min(round(WIDTH * place), WIDTH - 1)
    return f"M{start} {HEIGHT}H{WIDTH}v{MARK}H{start}z"
