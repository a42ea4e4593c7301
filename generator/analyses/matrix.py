"""The weights between two layers at a glance: one signed number for each connection, and where the strongest lie."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from generator.analyses.connections import ONE_SIDED, strengths
from generator.records import Weights

STEP = 1 << 22  # weights looked at at once
TURNS = 8  # turns of `strongest`; it settles after two or three


def lean(kernel: np.ndarray) -> np.ndarray:
    """How one-sided every connection is: sum of its weights over the sum of their magnitudes, float32 [unit, input].

    kernel: float32 [unit, input, row, col]. 1: all weights positive, -1: all negative, 0: as much of either sign, or no weight
    at all. NaN where a weight is NaN or Inf.
    """
    found = np.zeros(kernel.shape[:2], np.float32)
    for part in _parts(kernel):
        with np.errstate(all="ignore"):
            net, whole = kernel[part].sum((2, 3), dtype=np.float64), np.abs(kernel[part]).sum((2, 3), dtype=np.float64)
            found[part] = np.where(whole == 0, 0.0, net / whole)
    return found


def _parts(kernel: np.ndarray) -> Iterator[slice]:
    step = max(1, STEP // max(1, kernel[:1].size))
    return (slice(start, start + step) for start in range(0, len(kernel), step))


def norms_and_lean(weights: Weights, scaled: bool) -> tuple[np.ndarray, np.ndarray]:
    """L2 norm of every connection (times the source's own scale where `scaled`), and `lean` of it: float32 [unit, input]."""
    return strengths(weights.kernel, weights.source_scale if scaled else None), lean(weights.kernel)


def by_sign(norms: np.ndarray, leans: np.ndarray) -> tuple[int, int, int]:
    """How many connections excite, inhibit and are mixed; those that are exactly zero are none of these."""
    one_sided = 2 * ONE_SIDED - 1  # a share s of the magnitude has one sign where |net| / whole >= 2 s - 1
    there = norms != 0
    excite, inhibit = int((there & (leans >= one_sided)).sum()), int((there & (leans <= -one_sided)).sum())
    return excite, inhibit, int(there.sum()) - excite - inhibit


def binned(values: np.ndarray, rows: int, cols: int) -> np.ndarray:
    """A matrix [row, col] with `rows` by `cols` neighbours in one: the largest magnitude stays, NaN counting as largest."""
    height, width = -(-values.shape[0] // rows), -(-values.shape[1] // cols)
    padded = np.zeros((height * rows, width * cols), values.dtype)
    padded[: values.shape[0], : values.shape[1]] = values
    bins = padded.reshape(height, rows, width, cols).swapaxes(1, 2).reshape(height, width, rows * cols)
    first = np.argmax(np.nan_to_num(np.abs(bins), nan=np.inf), axis=2)
    return np.take_along_axis(bins, first[:, :, None], 2)[:, :, 0]


def strongest(square: np.ndarray, rows: np.ndarray, cols: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """At most `count` of `rows` and `count` of `cols` that hold much of the squared weight [unit, input] together, ascending.

    By turns: the rows with most in the columns at hand, then the columns with most in those rows, until nothing changes. No
    turn can lose weight; ties go to the smaller index. A row or column without any weight there is left out.
    """
    part = np.nan_to_num(square.astype(np.float64), nan=0.0, posinf=0.0)[np.ix_(rows, cols)]
    row, col = np.arange(len(rows)), np.arange(len(cols))
    for _ in range(TURNS):
        before = row, col
        row = _most(part[:, col].sum(1), count)
        col = _most(part[row].sum(0), count)
        if np.array_equal(before[0], row) and np.array_equal(before[1], col):
            break
    row = row[part[np.ix_(row, col)].any(1)] if col.size else row[:0]
    return rows[row], cols[col] if row.size else cols[:0]


def _most(totals: np.ndarray, count: int) -> np.ndarray:
    """The places of the `count` largest totals above zero, ascending."""
    order = np.argsort(-totals, kind="stable")[:count]
    return np.sort(order[totals[order] > 0])
