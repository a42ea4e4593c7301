"""What semi-NMF needs of a kernel: its Gram matrices over positions, brought to unit trace, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SAFE = (1e-24, 1e30)  # squared weights between these lose nothing in float32
ZERO, NAN, INF = "all its weights are zero", "its weights hold NaN", "its weights hold Inf"


@dataclass(frozen=True)
class Grams:
    """X X.T of every neuron, X [position, input], divided by its trace."""

    gram: np.ndarray  # float64 [unit, position, position]; zeros where there is nothing to factor
    norm: np.ndarray  # float64 [unit]; L2 norm of the neuron's weights
    notes: tuple[str, ...]  # [unit] '' or why there is nothing to factor


def position_grams(weights: np.ndarray) -> Grams:
    """Gram matrices of float32 weights [unit, input, position], whatever their scale."""
    with np.errstate(all="ignore"):
        gram = _products(weights).astype(np.float64)
        square = np.einsum("upp->u", gram).copy()
        norm = np.sqrt(square)
        for unit in np.nonzero(~((square > SAFE[0]) & (square < SAFE[1])))[0]:
            gram[unit], square[unit], norm[unit] = _rescaled(weights[unit])
    usable = np.isfinite(norm) & (square > 0)
    gram /= np.where(usable, square, 1.0)[:, None, None]
    gram[~usable] = 0.0
    return Grams(gram, norm, tuple("" if good else _note(weights[unit]) for unit, good in enumerate(usable)))


def _products(weights: np.ndarray) -> np.ndarray:
    """X X.T of every neuron: float32 [unit, position, position]."""
    # torch's batched product takes half the time of numpy's here, which is felt: this is one of the dearest steps. It is
    # imported late, since nothing else in the analyses needs it.
    import torch

    inputs = torch.from_numpy(np.require(weights, np.float32, ["C", "W"]))
    return np.asarray(torch.bmm(inputs.transpose(1, 2), inputs).numpy())


def _rescaled(weights: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Gram matrix, its trace and the norm of one neuron whose squares leave float32; the Gram matrix divided by its peak's
    square.
    """
    peak = float(np.abs(weights).max(initial=0.0))
    if not np.isfinite(peak) or peak == 0:
        return np.zeros((weights.shape[1],) * 2), 0.0, peak
    level = weights.astype(np.float64) / peak
    gram = level.T @ level
    return gram, float(np.trace(gram)), peak * float(np.sqrt(np.trace(gram)))


def _note(weights: np.ndarray) -> str:
    if np.isnan(weights).any():
        return NAN
    return INF if np.isinf(weights).any() else ZERO
