"""How large the norms of the connections of a neuron would be if its weights had no order."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from generator.analyses.ranks import QUANTILE

DRAWN = 16_000  # weights that are drawn for the noise floor of one neuron
FEWEST = 256  # kernels that are drawn at the least
PLAIN = (1e-15, 1e15)  # the largest weight of a neuron whose squares keep their precision in float32
ELEMENTS = 1 << 18  # of one temporary array: small enough for the processor's cache


def _blocks(count: int, size: int) -> Iterator[slice]:
    """Runs of rows of a size that keep temporary arrays small."""
    step = max(1, ELEMENTS // max(1, size))
    return (slice(start, start + step) for start in range(0, count, step))


def noise_floor(kernel: np.ndarray, scale: np.ndarray | None, direction: str) -> np.ndarray:
    """The 99th percentile of the norms of a neuron's kernels after its weights change places at random: float32 [neuron].

    kernel: float32 [unit, input, row, col]; scale: float32 [input] multiplies the inputs, or None. For 'reads' the weights of
    a unit change places over [input, row, col], for 'writes' those of an input over [unit, row, col]. Exact zeros stay where
    they are, for most are no weights (a branch of 1x1 beside one of 5x5, connections that the network does not have), and
    kernels that are zero do not count. Neurons whose zeros lie alike share their changes of place, which are drawn with a fixed
    seed until they make up enough kernels. Where kernels have one position there is nothing to change: the floor is the
    percentile of the absolute weights. Zero where all weights are zero, NaN where one is NaN or Inf.
    """
    own = kernel if direction == "reads" else kernel.swapaxes(0, 1)
    floor = np.zeros(len(own), np.float32)
    if own.size == 0:
        return floor
    for part in _blocks(len(own), own[0].size):
        weights = np.ascontiguousarray(own[part])
        if scale is not None:
            across = scale[:, None, None] if direction == "reads" else scale[part, None, None, None]
            weights = weights * np.abs(across)
        floor[part] = _floors(weights.reshape(*weights.shape[:2], -1))
    return floor


def _floors(weights: np.ndarray) -> np.ndarray:
    """[neuron, other, position] -> [neuron]; in float64 only where squares leave float32."""
    peak = np.maximum(weights.max((1, 2)), -weights.min((1, 2)))
    broken = ~np.isfinite(peak)
    if broken.any():
        weights = np.where(broken[:, None, None], 0, weights)
    if ((peak > PLAIN[1]) | (peak < PLAIN[0])).any():
        weights = weights.astype(np.float64)
    floor = single(weights[..., 0]) if weights.shape[2] == 1 else shuffled(weights)
    return np.where(broken, np.nan, floor).astype(np.float32)


def single(weights: np.ndarray) -> np.ndarray:
    """The percentile of each neuron's absolute weights [neuron, weight] other than zero."""
    return quantile(np.sort(np.abs(weights), axis=1))


def shuffled(weights: np.ndarray) -> np.ndarray:
    """The percentile of the norms of each neuron's shuffled kernels, from weights [neuron, other, position]."""
    floor = np.zeros(len(weights))
    flat = np.square(weights.reshape(len(weights), -1))
    for members in _alike(flat != 0):
        there = flat[members[0]].reshape(weights.shape[1:]) != 0
        sizes = there.sum(1)
        if sizes.max() == 1:  # padded single weights
            floor[members] = single(weights[members].reshape(len(members), -1))
            continue
        kernels, size = int((sizes > 0).sum()), int(sizes.max())
        if sizes.sum() == kernels * size and rounds_of(kernels, size) * size <= kernels:
            floor[members] = _turned(flat, members, np.flatnonzero(there).reshape(kernels, size))
            continue
        chosen = draws(sizes[sizes > 0].tobytes())
        numbers = np.append(np.flatnonzero(there), np.flatnonzero(~there)[:1])  # -1: one that is zero
        for part in _blocks(len(members), chosen.size):
            drawn = flat[members[part]].take(numbers[chosen].ravel(), axis=1)
            squares = drawn.reshape(-1, *chosen.shape).sum(1)
            floor[members[part]] = quantile(np.sort(np.sqrt(squares), axis=1))
    return floor


def rounds_of(kernels: int, size: int) -> int:
    """How often kernels of so many weights are shuffled until there are enough of them."""
    return max(1, round(_wanted(size) / max(1, kernels)))


def _wanted(size: int) -> int:
    """How many kernels of so many weights are drawn."""
    return max(FEWEST, DRAWN // max(1, size))


def _turned(squares: np.ndarray, members: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """The percentile for neurons whose kernels all have as many weights: float64 [member].

    squares: [neuron, weight]; numbers: int [kernel, place], which of them are there. They change places at random once and lie
    in a row for each place of a kernel; every further shuffle turns these rows against each other, each by a step of its own,
    so that no two weights meet twice. Sums of rows take a tenth of the time of drawing each weight.
    """
    kernels, size = numbers.shape
    used, rounds = min(kernels, _wanted(size)), rounds_of(kernels, size)
    order = np.random.default_rng(0).permutation(numbers.ravel())[: used * size].reshape(size, used)
    order = np.concatenate([order, order[:, : rounds * size]], axis=1)  # rows that are turned go on at their beginning
    floor = np.empty(len(members))
    for part in _blocks(len(members), used * max(size, rounds)):
        rows = np.ascontiguousarray(squares[members[part]].T)[order]  # [place, kernel, neuron]
        sums = np.zeros((rounds, used, rows.shape[2]), rows.dtype)
        for place, row in enumerate(rows):
            along, across = row.strides
            sums += np.lib.stride_tricks.as_strided(row, sums.shape, (place * along, along, across), writeable=False)
        norms = np.sqrt(sums.reshape(-1, rows.shape[2]).T, order="C")
        norms.sort(axis=1)
        floor[part] = quantile(norms)
    return floor


def _alike(there: np.ndarray) -> list[np.ndarray]:
    """The rows of bool [neuron, weight] that hold anything, in groups of equal rows: a list of int [member]."""
    groups: dict[bytes, list[int]] = {}
    for row, key in enumerate(np.packbits(there, axis=1)):
        groups.setdefault(key.tobytes(), []).append(row)
    return [np.array(rows) for rows in groups.values() if there[rows[0]].any()]


@lru_cache(maxsize=64)
def draws(sizes: bytes) -> np.ndarray:
    """Which weights make up each of the drawn kernels: int [place, kernel], numbers of weights, -1 behind a kernel's last.

    sizes: int64 [kernel] as bytes, how many weights each kernel of a neuron has. In one shuffle every weight is in one kernel;
    the last shuffle is cut short, so the kernels come in an order of chance too.
    """
    counts = np.frombuffer(sizes, np.int64)
    random = np.random.default_rng(0)
    wanted = _wanted(round(counts.mean()))
    rounds = -(-wanted // len(counts))
    lengths = np.concatenate([random.permutation(counts) for _ in range(rounds)])[:wanted]
    weights = np.concatenate([random.permutation(counts.sum()) for _ in range(rounds)])
    drawn = np.full((wanted, lengths.max()), -1)
    drawn[np.arange(lengths.max()) < lengths[:, None]] = weights[: lengths.sum()]
    return np.ascontiguousarray(drawn.T)


def quantile(ordered: np.ndarray) -> np.ndarray:
    """The percentile of each row's values above zero, which are in ascending order; 0 where there is none."""
    count = (ordered > 0).sum(1)
    at = ordered.shape[1] - count + QUANTILE * np.maximum(count - 1, 0)
    low = np.minimum(np.floor(at).astype(np.int64), ordered.shape[1] - 1)
    high = np.minimum(low + 1, ordered.shape[1] - 1)
    rows = np.arange(len(ordered))
    below = ordered[rows, low]
    return np.where(count > 0, below + (at - low) * (ordered[rows, high] - below), 0)
