"""Kernels laid over kernels: how a neuron reads a layer, and how that layer's neurons read a picture, to one kernel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

FLOATS_AT_ONCE = 4 * 2**20


def composed(upper: np.ndarray, lower: np.ndarray, stride: Sequence[int]) -> np.ndarray:
    """The sum over the neurons between of kernels upper `[unit, between, row, col]` over lower `[between, input, row, col]`.

    From one position of `upper` to the next are `stride` positions of what `lower` reads. Returns float32
    `[unit, input, row, col]`, with (rows of upper - 1) * stride + rows of lower rows, and so for columns.
    """
    units, _, rows, cols = upper.shape
    _, inputs, high, wide = lower.shape
    out = np.zeros((units, inputs, (rows - 1) * stride[0] + high, (cols - 1) * stride[1] + wide), np.float32)
    flat, only = lower.reshape(len(lower), -1), reads_one(upper)
    at_once = max(1, FLOATS_AT_ONCE // max(1, flat.shape[1]))
    for start in range(0, units, at_once):
        chunk = slice(start, start + at_once)
        for row, col in np.ndindex(rows, cols):
            part = _tapped(upper[chunk, :, row, col], flat, None if only is None else only[chunk])
            top, left = row * stride[0], col * stride[1]
            out[chunk, :, top : top + high, left : left + wide] += part.reshape(-1, inputs, high, wide)
    return out


def _tapped(tap: np.ndarray, flat: np.ndarray, only: np.ndarray | None) -> np.ndarray:
    """One position of the upper kernels, `[unit, between]`, over flat `[between, value]`."""
    with np.errstate(invalid="ignore", over="ignore"):
        if only is None:
            return np.asarray(np.ascontiguousarray(tap) @ flat)
        return np.asarray(tap[np.arange(len(only)), only, None] * flat[only])


def reads_one(kernel: np.ndarray) -> np.ndarray | None:
    """The one input that each unit of `[unit, input, row, col]` reads, int `[unit]`; None where a unit reads several."""
    if kernel.shape[1] == 1:
        return np.zeros(len(kernel), np.intp)
    read = kernel[:, :, 0, 0] != 0 if kernel.shape[2:] == (1, 1) else kernel.any((2, 3))
    return None if (np.count_nonzero(read, axis=1) > 1).any() else np.argmax(read, axis=1)


def plain_norms(kernel: np.ndarray) -> np.ndarray:
    """The L2 norm of each unit's weights, float64 `[unit]`."""
    flat = kernel.reshape(len(kernel), -1)
    return np.sqrt(np.einsum("ux,ux->u", flat, flat, dtype=np.float64))


def path_norms(upper: np.ndarray, lower: np.ndarray, stride: Sequence[int]) -> np.ndarray:
    """For every unit the sum over the neurons between of the norm of the path through each, float64 `[unit]`.

    A path is a neuron's kernel in `upper` over that neuron's in `lower`, all inputs together, and its squared norm a quadratic
    form of the first in the products of shifted copies of the second: no path is written out.
    """
    units, between, rows, cols = upper.shape
    total = np.zeros(units)
    at_once = max(1, FLOATS_AT_ONCE // (units * rows * cols))
    with np.errstate(invalid="ignore", over="ignore"):
        if (rows, cols) == (1, 1):
            return np.asarray(np.abs(upper[:, :, 0, 0]).astype(np.float64) @ plain_norms(lower))
        for start in range(0, between, at_once):
            products = shifted_products(lower[start : start + at_once], rows, cols, stride)
            taps = upper[:, start : start + at_once].reshape(units, -1, rows * cols).transpose(1, 0, 2).astype(np.float64)
            squares = np.einsum("bup,bup->bu", taps @ products, taps)
            total += np.sqrt(np.maximum(squares, 0.0)).sum(0)
    return total


def shifted_products(kernel: np.ndarray, rows: int, cols: int, stride: Sequence[int]) -> np.ndarray:
    """Inner products of each unit's kernel `[unit, input, row, col]` with itself, both shifted by whole strides.

    Returns float64 `[unit, place, place]`, a place being one of rows x cols shifts.
    """
    values = kernel.astype(np.float64)
    lags = np.zeros((len(kernel), 2 * rows - 1, 2 * cols - 1))
    for row, col in np.ndindex(rows, 2 * cols - 1):
        product = _overlap(values, row * stride[0], (col - cols + 1) * stride[1])
        lags[:, rows - 1 + row, col] = product
        lags[:, rows - 1 - row, 2 * cols - 2 - col] = product
    places = np.array(list(np.ndindex(rows, cols)))
    apart = places[None] - places[:, None]
    return lags[:, apart[..., 0] + rows - 1, apart[..., 1] + cols - 1]


def _overlap(values: np.ndarray, down: int, right: int) -> np.ndarray:
    """The inner product of every unit's values with those `down` rows and `right` columns on; `down` >= 0."""
    high, wide = values.shape[2:]
    if down >= high or abs(right) >= wide:
        return np.zeros(len(values))
    first = values[:, :, : high - down, max(0, -right) : wide - max(0, right)]
    other = values[:, :, down:, max(0, right) : wide + min(0, right)]
    return np.einsum("uirc,uirc->u", first, other)


def padded_sum(parts: Sequence[tuple[np.ndarray, tuple[int, int]]]) -> tuple[np.ndarray, tuple[int, int]]:
    """The sum of kernels `[unit, input, row, col]`, each with the position of its first row and column; and that of the sum."""
    if len(parts) == 1:
        return parts[0]
    top, left = (min(offset[axis] for _, offset in parts) for axis in (0, 1))
    bottom, right = (max(offset[axis] + kernel.shape[2 + axis] for kernel, offset in parts) for axis in (0, 1))
    out = np.zeros((*parts[0][0].shape[:2], bottom - top, right - left), np.float32)
    for kernel, (row, col) in parts:
        out[:, :, row - top : row - top + kernel.shape[2], col - left : col - left + kernel.shape[3]] += kernel
    return out, (top, left)
