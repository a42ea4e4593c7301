"""The largest connections of every neuron: by the L2 norm of the kernel, in both directions, from one table of norms.

Strength and sign as in Voss et al., "Visualizing Weights" (Distill 2021) and the weight explorer of the Circuits thread.
"""

from __future__ import annotations

import numpy as np

from generator.analyses.spread import noise_floor, spread
from generator.records import Largest, Weights

ONE_SIDED = 0.8  # the share of the absolute weight from which a connection is called by its sign
SIGN_RULE = "A connection excites or inhibits where at least 80% of its absolute weight has that sign, and is mixed otherwise."
BROKEN_RULE = "A connection whose weights hold NaN or Inf has no share and stands first, so that it is seen."
BYTES = 1 << 24  # of one temporary array
CACHED = 1 << 16  # elements of one that is gone over many times: small enough for the processor's cache


def strengths(kernel: np.ndarray, scale: np.ndarray | None = None) -> np.ndarray:
    """L2 norm of every connection's kernel: float32 [unit, input].

    kernel: float32 [unit, input, row, col]; scale: float32 [input] multiplies the inputs, or None. Exact for weights of any
    scale; NaN and Inf stay NaN and Inf. Raises ValueError where the shapes do not fit.
    """
    if kernel.ndim != 4 or (scale is not None and scale.shape != kernel.shape[1:2]):
        raise ValueError(f"kernel {kernel.shape} and scale {None if scale is None else scale.shape} do not fit")
    norms = np.empty(kernel.shape[:2], np.float32)
    for part in _chunks(kernel):
        own = kernel[part]
        norms[part] = _norms(own.reshape(*own.shape[:2], own.shape[2] * own.shape[3]))
    with np.errstate(all="ignore"):
        return norms if scale is None else norms * np.abs(scale)


def _chunks(kernel: np.ndarray) -> list[slice]:
    step = max(1, BYTES // (8 * max(1, kernel[:1].size)))
    return [slice(start, start + step) for start in range(0, len(kernel), step)]


def _norms(weights: np.ndarray) -> np.ndarray:
    """[unit, input, position] -> [unit, input]; in float64 only where squares leave float32."""
    with np.errstate(all="ignore"):
        square = np.einsum("uip,uip->ui", weights, weights)
        norms = np.sqrt(square)
        risky = ~((square > 1e-30) & (square < 1e36))
        if risky.any():
            norms[risky] = np.sqrt((weights[risky].astype(np.float64) ** 2).sum(1)).astype(np.float32)
    return norms


def largest(weights: Weights, k: int, scaled: bool = False) -> tuple[Largest, Largest]:
    """Both tables of a pair of layers: what each neuron of the target reads, and what each neuron of the source writes to.

    k: rows of a table, fewer where the other layer is smaller; scaled: multiply by the source's own batch-norm scale where it
    has one. Ties go to the smaller index. Where every weight is zero the shares are zero. See `BROKEN_RULE` for NaN and Inf.
    """
    scale = weights.source_scale if scaled else None
    norms = strengths(weights.kernel, scale)
    reads = _table(weights, norms, k, "reads", scale)
    return reads, _table(weights, norms, k, "writes", scale)


def _table(weights: Weights, norms: np.ndarray, k: int, direction: str, scale: np.ndarray | None) -> Largest:
    reading = direction == "reads"
    own = norms if reading else norms.T
    other = top(own, k)
    here = np.arange(len(own))[:, None]
    unit, source = (here, other) if reading else (other, here)
    excitation, inhibition = signed_parts(weights.kernel, unit, source, scale)
    share = _shares(own, other)
    ends = (weights.target, weights.source)
    counts, reach = spread(own)
    return Largest(
        here=ends[0] if reading else ends[1],
        there=ends[1] if reading else ends[0],
        direction=direction,
        other=other,
        norm=np.take_along_axis(own, other, 1),
        excitation=excitation,
        inhibition=inhibition,
        share=share,
        shown=np.minimum(share.sum(1, dtype=np.float64), 1.0).astype(np.float32),
        left_out=own.shape[1] - other.shape[1],
        spread=counts,
        reach=reach,
        floor=noise_floor(weights.kernel, scale, direction),
    )


def top(norms: np.ndarray, k: int) -> np.ndarray:
    """Columns of the k largest of each row, largest first, ties by smaller index, NaN and Inf before all: int32 [neuron,
    rank].
    """
    rows, columns = norms.shape
    found = np.zeros((rows, max(0, min(k, columns))), np.int32)
    step = max(1, CACHED // max(1, columns))
    for start in range(0, rows if found.size else 0, step):
        found[start : start + step] = _top(norms[start : start + step], found.shape[1])
    return found


def _top(norms: np.ndarray, k: int) -> np.ndarray:
    keys = -np.ascontiguousarray(norms, dtype=np.float32)
    keys[np.isnan(keys)] = -np.inf
    limit = np.partition(keys, k - 1, axis=1)[:, k - 1, None]
    kept = keys <= limit
    crowded = np.nonzero(kept.sum(1) > k)[0]
    if len(crowded):  # all that are smaller than the limit come in, then the first that equal it
        equal = keys[crowded] == limit[crowded]
        missing = k - (keys[crowded] < limit[crowded]).sum(1, keepdims=True)
        kept[crowded] &= ~equal | (np.cumsum(equal, axis=1) <= missing)
    columns = np.nonzero(kept)[1].reshape(len(keys), k)
    order = np.argsort(np.take_along_axis(keys, columns, 1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, 1).astype(np.int32)


def signed_parts(
    kernel: np.ndarray, unit: np.ndarray, source: np.ndarray, scale: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Sums of the positive and of the negative weights of the kernels [unit, source] that are asked for: two float32 [neuron,
    rank].
    """
    shape = np.broadcast_shapes(unit.shape, source.shape)
    unit, source = (np.broadcast_to(index, shape) for index in (unit, source))
    parts = np.zeros((2, *shape), np.float32)
    step = max(1, BYTES // (4 * max(1, kernel.shape[2] * kernel.shape[3] * shape[1])))
    with np.errstate(all="ignore"):
        for start in range(0, shape[0], step):
            rows = slice(start, start + step)
            shown = kernel[unit[rows], source[rows]]
            parts[0, rows], parts[1, rows] = np.maximum(shown, 0).sum((2, 3)), np.minimum(shown, 0).sum((2, 3))
        if scale is not None:
            parts *= np.abs(scale)[source]
    return parts[0], parts[1]


def _shares(norms: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Squared norm over the neuron's total, 0..1; 0 where the total is zero, NaN where it is not finite."""
    peak = norms.max(axis=1, initial=0.0, keepdims=True).astype(np.float64)
    with np.errstate(all="ignore"):
        level = norms / np.where(peak == 0, 1.0, peak)
        total = np.square(level).sum(1, keepdims=True)
        share = np.square(np.take_along_axis(level, other, 1)) / np.where(total == 0, 1.0, total)
    return np.where(np.isfinite(peak), share, np.nan).astype(np.float32)


def sign_word(excitation: float, inhibition: float) -> str:
    """'excites', 'inhibits', 'mixed' or 'none', from the sums of positive and of negative weights; see `SIGN_RULE`. NaN is
    mixed.
    """
    positive, negative = abs(float(excitation)), abs(float(inhibition))
    total = positive + negative
    if total == 0:
        return "none"
    if positive >= ONE_SIDED * total:
        return "excites" if negative < np.inf else "mixed"
    return "inhibits" if negative >= ONE_SIDED * total else "mixed"
