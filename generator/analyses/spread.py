"""How the norms of all connections of a neuron are spread, and how large they would be if its weights had no order."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

BINS = 24
QUANTILE = 0.99
DRAWN = 16_000  # weights that are drawn for the noise floor of one neuron
FEWEST = 256  # kernels that are drawn at the least
PLAIN = (1e-15, 1e15)  # the largest weight of a neuron whose squares keep their precision in float32
ELEMENTS = 1 << 18  # of one temporary array: small enough for the processor's cache


def spread(norms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many of each neuron's norms lie in each of BINS equal bins: int32 [neuron, bin]; and the upper edge of the last.

    norms: float32 [neuron, other]. The edge is the neuron's largest finite norm; zero, NaN and Inf are in no bin.
    """
    counts = np.zeros((len(norms), BINS), np.int32)
    reach = np.zeros(len(norms), np.float32)
    for part in _blocks(len(norms), norms.shape[1]):
        own = norms[part]
        drawn = (own > 0) & (own < np.inf)
        own = own if drawn.all() else np.where(drawn, own, 0)
        reach[part] = own.max(1, initial=0.0)
        counts[part] = _counts(own, drawn, reach[part])
    return counts, reach


def _blocks(count: int, size: int) -> Iterator[slice]:
    """Runs of rows of a size that keep temporary arrays small."""
    step = max(1, ELEMENTS // max(1, size))
    return (slice(start, start + step) for start in range(0, count, step))


def _counts(norms: np.ndarray, drawn: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Where norms are drawn, which of the bins they lie in: int [neuron, bin]."""
    level = norms / np.where(reach > 0, reach, 1)[:, None]
    level *= BINS
    bins = np.minimum(level, BINS - 1).astype(np.int64)
    bins += np.arange(len(norms))[:, None] * BINS
    bins[~drawn] = len(norms) * BINS
    return np.bincount(bins.ravel(), minlength=len(norms) * BINS + 1)[:-1].reshape(-1, BINS)


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
        chosen = draws(sizes[sizes > 0].tobytes())
        numbers = np.append(np.flatnonzero(there), np.flatnonzero(~there)[:1])  # -1: one that is zero
        for part in _blocks(len(members), chosen.size):
            drawn = flat[members[part]].take(numbers[chosen].ravel(), axis=1)
            squares = drawn.reshape(-1, *chosen.shape).sum(1)
            floor[members[part]] = quantile(np.sort(np.sqrt(squares), axis=1))
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
    wanted = max(FEWEST, DRAWN // max(1, round(counts.mean())))
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
