"""How strong a connection is and what sign it has: the L2 norm of its kernel, and how one-sided its weights are.

Strength and sign as in Voss et al., "Visualizing Weights" (Distill 2021) and the weight explorer of the Circuits thread.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from generator.analyses.ranks import ranked

ONE_SIDED = 0.8  # the share of the absolute weight from which a connection is called by its sign
SIGN_RULE = "A connection excites or inhibits where at least 80% of its absolute weight has that sign, and is mixed otherwise."
BROKEN_RULE = "A connection whose weights hold NaN or Inf has no share and stands first, so that it is seen."
ELEMENTS = 1 << 16  # weights looked at at once: small enough for the processor's cache
SURE = (1e-30, 1e36)  # squares that have not left float32


def strengths(kernel: np.ndarray, scale: np.ndarray | None = None) -> np.ndarray:
    """L2 norm of every connection's kernel: float32 [unit, input].

    kernel: float32 [unit, input, row, col]; scale: float32 [input] multiplies the inputs, or None. Exact for weights of any
    scale; NaN and Inf stay NaN and Inf. Raises ValueError where the shapes do not fit.
    """
    _checked(kernel, scale)
    norms = np.empty(kernel.shape[:2], np.float32)
    for part, weights in _parts(kernel):
        norms[part] = _norms(weights)
    return _scaled(norms, scale)


def strengths_and_leans(kernel: np.ndarray, scale: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """`strengths`, and how one-sided every connection is: sum of its weights over the sum of their magnitudes; both float32
    [unit, input].

    A lean of 1: all weights positive, -1: all negative, 0: as much of either sign, or no weight at all. NaN where a weight is
    NaN or Inf.
    """
    _checked(kernel, scale)
    norms, leans = np.empty(kernel.shape[:2], np.float32), np.empty(kernel.shape[:2], np.float32)
    for part, weights in _parts(kernel):
        norms[part] = _norms(weights)
        leans[part] = _leans(weights)
    return _scaled(norms, scale), leans


def _checked(kernel: np.ndarray, scale: np.ndarray | None) -> None:
    if kernel.ndim != 4 or (scale is not None and scale.shape != kernel.shape[1:2]):
        raise ValueError(f"kernel {kernel.shape} and scale {None if scale is None else scale.shape} do not fit")


def _parts(kernel: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """A few units at a time, with their weights [unit, input, position]."""
    units, inputs, rows, cols = kernel.shape
    step = max(1, ELEMENTS // max(1, inputs * rows * cols))
    for start in range(0, units, step):
        own = kernel[start : start + step]
        yield slice(start, start + step), own.reshape(len(own), inputs, rows * cols)


def _scaled(norms: np.ndarray, scale: np.ndarray | None) -> np.ndarray:
    if scale is not None:
        with np.errstate(all="ignore"):
            norms *= np.abs(scale)
    return norms


def _norms(weights: np.ndarray) -> np.ndarray:
    """[unit, input, position] -> [unit, input]; in float64 only where squares leave float32."""
    if weights.shape[2] == 1:
        return np.abs(weights[:, :, 0])
    with np.errstate(all="ignore"):
        square = _sums(np.square(weights))
        norms = np.sqrt(square)
        if square.size and not (square.min() > SURE[0] and square.max() < SURE[1]):
            risky = ~((square > SURE[0]) & (square < SURE[1]))
            norms[risky] = np.sqrt((weights[risky].astype(np.float64) ** 2).sum(1)).astype(np.float32)
    return norms


def _leans(weights: np.ndarray) -> np.ndarray:
    """[unit, input, position] -> [unit, input]."""
    with np.errstate(all="ignore"):
        if weights.shape[2] == 1:
            leans = np.sign(weights[:, :, 0])
            return leans if np.isfinite(weights).all() else np.where(np.isfinite(weights[:, :, 0]), leans, np.float32(np.nan))
        whole = _sums(np.abs(weights))
        if whole.size and not whole.max() < SURE[1]:
            weights = weights.astype(np.float64)
            whole = _sums(np.abs(weights))
        return np.asarray(_sums(weights) / np.where(whole == 0, 1, whole), np.float32)


def _sums(weights: np.ndarray) -> np.ndarray:
    """[unit, input, position] -> [unit, input]; a product of matrices takes a third of the time of a sum over a short axis."""
    return np.asarray(weights @ np.ones(weights.shape[2], weights.dtype))


def top(norms: np.ndarray, k: int) -> np.ndarray:
    """Columns of the k largest of each row, largest first, ties by smaller index, NaN and Inf before all: int32 [neuron,
    rank].
    """
    return ranked(norms, k).other


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
