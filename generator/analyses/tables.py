"""Everything that pages say of the connections between two layers: every norm, how one-sided each is, both tables."""

from __future__ import annotations

import numpy as np

from generator.analyses.connections import strengths_and_leans
from generator.analyses.ranks import ranked
from generator.analyses.spread import noise_floor
from generator.records import Largest, Pair, Weights

PLAIN = (1e-15, 1e15)  # the largest norm of a neuron whose squares keep their precision in float32


def pair_of(weights: Weights, k: int, scaled: bool = False) -> Pair:
    """Two layers with all that is told of their connections.

    k: rows of a table, fewer where the other layer is smaller; scaled: norms and kernels are multiplied by the source's own
    batch-norm scale where it has one. Where every weight is zero the shares are zero. See `connections.BROKEN_RULE` for NaN
    and Inf.
    """
    scale = weights.source_scale if scaled else None
    norms, leans = strengths_and_leans(weights.kernel, scale)
    reads, writes = (_table(weights, norms, k, direction, scale) for direction in ("reads", "writes"))
    return Pair(weights, reads, writes, norms, leans)


def _table(weights: Weights, norms: np.ndarray, k: int, direction: str, scale: np.ndarray | None) -> Largest:
    reading = direction == "reads"
    own = norms if reading else norms.T
    found = ranked(own, k)
    here = np.arange(len(own))[:, None]
    unit, source = (here, found.other) if reading else (found.other, here)
    kernels = _kernels(weights.kernel, unit, source, scale)
    largest = norms[unit, source]
    share = _shares(own, largest, found.reach)
    ends = (weights.target, weights.source)
    single = weights.kernel.shape[2] * weights.kernel.shape[3] == 1
    with np.errstate(all="ignore"):
        excitation, inhibition = (cut(kernels, 0).sum((2, 3)) for cut in (np.maximum, np.minimum))
    return Largest(
        here=ends[0] if reading else ends[1],
        there=ends[1] if reading else ends[0],
        direction=direction,
        other=found.other,
        norm=largest,
        excitation=excitation,
        inhibition=inhibition,
        share=share,
        shown=np.minimum(share.sum(1, dtype=np.float64), 1.0).astype(np.float32),
        left_out=own.shape[1] - found.other.shape[1],
        spread=found.counts,
        reach=found.reach,
        floor=found.quantile if single else noise_floor(weights.kernel, scale, direction),
        kernels=kernels,
    )


def _kernels(kernel: np.ndarray, unit: np.ndarray, source: np.ndarray, scale: np.ndarray | None) -> np.ndarray:
    """The kernels [unit, source] that are asked for: float32 [neuron, rank, row, col]."""
    shown = np.asarray(kernel[unit, source], np.float32)
    if scale is not None:
        with np.errstate(all="ignore"):
            shown *= np.abs(scale)[source][..., None, None]
    return shown


def _shares(norms: np.ndarray, largest: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Squared norms of the largest over the total of their row, 0..1: float32 [neuron, rank].

    0 where the total is zero, NaN where it is not finite. norms: float32 [neuron, other]; reach: float32 [neuron], the largest
    finite norm of each row.
    """
    peak = np.where(reach > 0, reach, 1).astype(np.float64)[:, None]
    with np.errstate(all="ignore"):
        if reach.size and ((reach > PLAIN[1]) | ((reach < PLAIN[0]) & (reach > 0))).any():
            total = np.square(norms / peak).sum(1)
        else:
            total = _squares(norms) / peak[:, 0] ** 2
        share = np.square(largest / peak) / np.where(total == 0, 1.0, total)[:, None]
    return np.where(np.isfinite(total)[:, None], share, np.nan).astype(np.float32)


def _squares(norms: np.ndarray) -> np.ndarray:
    """The sum of squares of each row: float64 [neuron]; the transpose of an array is as good as an array."""
    if norms.flags.c_contiguous:
        return np.einsum("no,no->n", norms, norms).astype(np.float64)
    parts = [norms.T[start : start + 64] for start in range(0, norms.shape[1], 64)]
    return np.asarray(np.sum([np.einsum("on,on->n", part, part) for part in parts], axis=0, dtype=np.float64))
