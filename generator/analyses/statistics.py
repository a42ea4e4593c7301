"""What can be said of a neuron in a number, which of its layer are like it, and an order in which alike ones stand together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from generator.analyses.likeness import cosines_with, in_order, streams_of
from generator.records import Statistics, Weights

NEIGHBOURS = 6  # alike neurons that are named
MOST = 4096  # units whose cosines are held at once; the neurons of larger layers keep the order of their index
ELEMENTS = 1 << 15  # of a temporary array: small enough for the processor's cache
SURE = (1e-30, 1e36)  # sums of squares that have not left float32


def statistics(
    reads: Sequence[Weights],
    bias: np.ndarray | None = None,
    norm_scale: np.ndarray | None = None,
    stored: np.ndarray | None = None,
) -> Statistics:
    """The statistics of every neuron of a layer.

    reads: its weights on all layers outside of it that feed it, at least one, taken together as one vector a neuron and as
    they are, whatever the tables are scaled by; bias, norm_scale: float32 [unit] or None, handed on; stored: int [unit], how
    many weights each neuron's own kernel has, or None. The kernels of a record may be padded (a branch of 1x1 beside one of
    5x5, the gaps of a dilation, other groups' inputs), and padding is no weight: `stored` counts without it, and where it does
    not hold, because weights are expanded through other layers, the positions that a neuron reads of no input are left out.

    A neuron without weights, or with NaN or Inf among them, is like no other and stands at the end of the order. Neurons
    count as alike where their cosine is above zero; where there are too few of them, `alike` holds -1 and `cosine` NaN.
    """
    rows = [each.kernel.reshape(len(each.kernel), math.prod(each.kernel.shape[1:])) for each in reads]
    square, total, absolute, nonzero = np.sum([_sums(part) for part in rows], axis=0)
    norm = np.sqrt(square)
    direct = stored is not None and all(each.direct for each in reads)
    found = np.asarray(stored if direct else sum(_unpadded(each.kernel) for each in reads), np.float64)
    weights = np.where(found > 0, found, sum(part.shape[1] for part in rows))  # of a dead neuron nothing is known to be padding
    unit = np.where(np.isfinite(norm) & (norm > 0), norm, np.nan).astype(np.float32)
    alike, cosine, place = _relations(rows, unit)
    with np.errstate(all="ignore"):
        return Statistics(
            norm=norm.astype(np.float32),
            sparsity=_sparsity(norm, absolute, weights),
            zeros=np.clip(1 - nonzero / weights, 0, 1).astype(np.float32),
            positive=((absolute + total) / (2 * absolute)).astype(np.float32),
            bias=bias,
            norm_scale=norm_scale,
            alike=alike,
            cosine=cosine,
            place=place,
        )


def _sums(weights: np.ndarray) -> np.ndarray:
    """Of each row of [unit, weight] the sum of squares, the sum, that of absolute values, how many are not zero: [4, unit]."""
    sums = np.zeros((4, len(weights)))
    with np.errstate(all="ignore"):
        for part in _blocks(len(weights), ELEMENTS // max(1, weights.shape[1])):
            own = weights[part]
            square = np.einsum("uw,uw->u", own, own)
            if not ((square > SURE[0]) & (square < SURE[1])).all():
                own = own.astype(np.float64)
                square = np.einsum("uw,uw->u", own, own)
            size = np.abs(own)
            some = own.shape[1] if size.size and size.min() > 0 else np.count_nonzero(own, axis=1)
            sums[:, part] = square, own.sum(1), size.sum(1), np.broadcast_to(some, square.shape)
    return sums


def _blocks(count: int, step: int) -> Iterator[slice]:
    return (slice(start, start + max(1, step)) for start in range(0, count, max(1, step)))


def _unpadded(kernel: np.ndarray) -> np.ndarray:
    """How many weights each unit has at the positions where it reads any input: int [unit]."""
    units, inputs, rows, cols = kernel.shape
    positions = np.zeros(units, np.int64)
    for part in _blocks(units, ELEMENTS // max(1, kernel[:1].size)):
        there = kernel[part, 0] != 0 if inputs else np.zeros((len(positions[part]), rows, cols), bool)
        if not there.all():  # the first input seldom leaves a doubt
            there = (kernel[part] != 0).any(1)
        positions[part] = there.sum((1, 2))
    return positions * inputs


def _sparsity(norm: np.ndarray, absolute: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Hoyer's measure, JMLR 5, 2004, section 3.1: float32 [unit], 0..1; NaN of a single weight and where all are zero."""
    root = np.sqrt(weights)
    return np.where(weights > 1, np.clip((root - absolute / norm) / (root - 1), 0, 1), np.nan).astype(np.float32)


def _relations(rows: Sequence[np.ndarray], norm: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Alike neurons, their cosines, the order."""
    count = len(norm)
    alike = np.empty((count, min(NEIGHBOURS, max(count - 1, 0))), np.int32)
    cosine = np.empty(alike.shape, np.float32)
    place = np.arange(count, dtype=np.int32)
    streams = streams_of(rows)
    for part in _blocks(count, count if count <= MOST else MOST // 8):
        cosines = cosines_with(streams, norm, part)
        alike[part], cosine[part] = _most_alike(cosines, part, alike.shape[1])
        if count <= MOST:
            place[in_order(cosines)] = np.arange(count)
    return alike, cosine, place


def _most_alike(cosines: np.ndarray, part: slice, ranks: int) -> tuple[np.ndarray, np.ndarray]:
    """The units of the largest cosines above zero, the unit itself left out: int32 and float32 [unit, rank]."""
    alike = np.full((len(cosines), ranks), -1, np.int32)
    cosine = np.full((len(cosines), ranks), np.nan, np.float32)
    for block in _blocks(len(cosines), ELEMENTS // max(1, cosines.shape[1])):
        others = np.fmax(cosines[block], np.float32(0))  # NaN is not above zero
        rows = np.arange(len(others))
        others[rows, rows + part.start + block.start] = 0
        for rank in range(ranks):
            best = others.argmax(1)  # the first of equals
            found = others[rows, best]
            alike[block, rank], cosine[block, rank] = np.where(found > 0, best, -1), np.where(found > 0, found, np.nan)
            others[rows, best] = 0
    return alike, cosine
