"""The weights between two layers at a glance: one signed number for each connection, and where the strongest lie."""

from __future__ import annotations

import numpy as np

from generator.analyses.connections import ONE_SIDED

TURNS = 8  # turns of `strongest`; it settles after two or three


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
