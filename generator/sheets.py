"""Signed kernels to small PNG files: side by side in strips, strips one below the other, for many neurons at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from generator.pictures import GAP, NOT_A_NUMBER, indexed_rows_png, signed_colours

LEVELS = 32  # steps from zero to the limit in a strip of kernels: about as fine as the eye, coarse enough for a small palette
MANY = 500  # pixels of a sheet from which on there are half as many
STRIP_PALETTE = np.concatenate([signed_colours(np.arange(-LEVELS, LEVELS + 1) / LEVELS, 1.0), NOT_A_NUMBER[None]])


class Sheet(NamedTuple):
    """Strips of kernels as one picture."""

    png: bytes  # b'' where no strip holds a kernel
    tops: tuple[int, ...]  # the row each strip begins at; of an empty strip that of the next
    height: int  # rows in all


def kernel_strip(kernels: np.ndarray, limit: float) -> bytes:
    """Signed kernels float `[tile, row, col]`, side by side with a gap of one column of zeros, as one small PNG."""
    steps = _strips(kernels[None], np.array([limit]))
    return _files(steps)[0]


def kernel_sheets(tables: Sequence[np.ndarray], limits: Sequence[np.ndarray], counts: np.ndarray) -> list[Sheet]:
    """For each of many neurons the strips of its tables, one below the other with a gap of one row, as one small PNG.

    tables: for each table the kernels float `[neuron, tile, row, col]`; limits: for each table float `[neuron]`, what the full
    colours stand for; counts: int `[neuron, table]`, how many kernels of each strip are shown, from its first.
    """
    strips = [_strips(kernels, limit) for kernels, limit in zip(tables, limits, strict=True)]
    cols = [kernels.shape[3] + GAP for kernels in tables]
    patterns, which = np.unique(counts, axis=0, return_inverse=True)
    sheets = [Sheet(b"", (), 0)] * len(counts)
    for number, pattern in enumerate(patterns.tolist()):
        neurons = np.flatnonzero(which.ravel() == number)
        widths = [count * col for count, col in zip(pattern, cols, strict=True)]
        if any(widths):
            tops, steps = _stacked([strip[neurons] for strip in strips], widths)
            for neuron, png in zip(neurons.tolist(), _files(steps if steps[0].size < MANY else _coarser(steps)), strict=True):
                sheets[neuron] = Sheet(png, tops, steps.shape[1])
    return sheets


def _stacked(strips: Sequence[np.ndarray], widths: Sequence[int]) -> tuple[tuple[int, ...], np.ndarray]:
    """The row each strip begins at, and strips `[neuron, row, col]` below one another, cut to their widths; none for 0."""
    tops = np.cumsum([0] + [(strip.shape[1] + GAP) * (width > 0) for strip, width in zip(strips, widths, strict=True)])
    sheet = np.full((len(strips[0]), int(tops[-1]) - GAP, max(widths)), LEVELS, np.uint8)
    for strip, width, top in zip(strips, widths, tops.tolist(), strict=False):
        if width:
            sheet[:, top : top + strip.shape[1], :width] = strip[:, :, :width]
    return tuple(tops[:-1].tolist()), sheet


def _strips(kernels: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Indices into STRIP_PALETTE, uint8 `[neuron, row, col]`, of kernels `[neuron, tile, row, col]` side by side."""
    neurons, tiles, rows, cols = kernels.shape
    steps = np.full((neurons, rows, tiles, cols + GAP), LEVELS, np.uint8)
    steps[:, :, :, :cols] = _levels(kernels, limits).swapaxes(1, 2)
    return steps.reshape(neurons, rows, tiles * (cols + GAP))


def _levels(kernels: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Index of each weight into STRIP_PALETTE, uint8 `[neuron, tile, row, col]`; zero where the limit is not above zero."""
    with np.errstate(all="ignore"):
        most = np.finfo(kernels.dtype).max  # a limit next to zero
        scale = np.where(limits > 0, np.minimum(LEVELS / limits, most), 0.0).astype(kernels.dtype)[:, None, None, None]
        steps = np.where(scale > 0, kernels * scale, np.where(np.isnan(kernels), kernels, 0))
        steps = np.rint(np.clip(steps, -LEVELS, LEVELS)) + LEVELS
    return np.nan_to_num(steps, nan=2 * LEVELS + 1).astype(np.uint8)


def _coarser(steps: np.ndarray) -> np.ndarray:
    """Indices into STRIP_PALETTE with every other step left out; zero, the ends and NaN stay."""
    numbers = steps <= 2 * LEVELS
    return np.where(numbers, 2 * np.rint(steps / 2), steps).astype(np.uint8)


def _files(steps: np.ndarray) -> list[bytes]:
    """Indices into STRIP_PALETTE `[picture, row, col]` as PNG files that hold no colour they do not use."""
    count, height, width = steps.shape
    flat = steps.reshape(count, height * width)
    used = np.zeros((count, len(STRIP_PALETTE)), bool)
    used[np.arange(count)[:, None], flat] = True
    numbers = (np.cumsum(used, 1) - 1).astype(np.uint8)
    rows = np.zeros((count, height, width + 1), np.uint8)  # each begins with the byte that says: no filter
    rows[:, :, 1:] = np.take_along_axis(numbers, flat, 1).reshape(steps.shape)
    return [
        indexed_rows_png(width, height, one.tobytes(), STRIP_PALETTE[mask].tobytes())
        for one, mask in zip(rows, used, strict=True)
    ]


def symmetric_limit(values: np.ndarray) -> float:
    """The largest magnitude among the finite weights: the limit, either way, of the colours; 0 where there is none."""
    return float(symmetric_limits(values[None])[0]) if values.size else 0.0


def symmetric_limits(values: np.ndarray) -> np.ndarray:
    """The same for each of many neurons: `[neuron, ...]` to float64 `[neuron]`."""
    finite = np.abs(np.where(np.isfinite(values), values, 0))
    return finite.reshape(len(values), -1).max(axis=1, initial=0.0).astype(np.float64)
