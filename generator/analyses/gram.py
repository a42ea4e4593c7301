"""What semi-NMF needs of a kernel: its Gram matrices over positions, brought to unit trace, what maps explain of them, and what
is wrong with a kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SAFE = (1e-24, 1e30)  # squared weights between these lose nothing in float32
AT_ONCE = 1 << 22  # bytes of matrices that are multiplied
RIDGE = 1e-10  # on the Gram matrix of unit columns, so that parallel columns stay solvable
ZERO, NAN, INF = "all its weights are zero", "its weights hold NaN", "its weights hold Inf"


@dataclass(frozen=True)
class Grams:
    """X X.T of every neuron, X [position, input], divided by its trace."""

    gram: np.ndarray  # float64 [unit, position, position]; zeros where there is nothing to factor
    norm: np.ndarray  # float64 [unit]; L2 norm of the neuron's weights
    usable: np.ndarray  # bool [unit]; whether there is something to factor
    notes: tuple[str, ...]  # [unit] '' or why there is nothing to factor


def position_grams(weights: np.ndarray) -> Grams:
    """Gram matrices of float32 weights [unit, input, position], whatever their scale."""
    with np.errstate(all="ignore"):
        gram = products(weights.transpose(0, 2, 1), weights).astype(np.float64)
        square = np.einsum("upp->u", gram).copy()
        norm = np.sqrt(square)
        for unit in np.nonzero(~((square > SAFE[0]) & (square < SAFE[1])))[0]:
            gram[unit], square[unit], norm[unit] = _rescaled(weights[unit])
    usable = np.isfinite(norm) & (square > 0)
    gram /= np.where(usable, square, 1.0)[:, None, None]
    gram[~usable] = 0.0
    notes = [""] * len(gram)
    for unit in np.nonzero(~usable)[0]:
        notes[unit] = _note(weights[unit])
    return Grams(gram, norm, usable, tuple(notes))


def products(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """One matrix product a unit, of float32 [unit, a, b] and [unit, b, c]: float32 [unit, a, c]."""
    # torch's batched product takes half the time of numpy's here, which is felt: these are among the dearest steps. It is
    # imported late, since nothing else in the analyses needs it.
    import torch

    found = np.empty((len(one), one.shape[1], two.shape[2]), np.float32)
    step = max(1, AT_ONCE // max(1, 4 * (one[:1].size + two[:1].size)))
    for start in range(0, len(one), step):
        part = slice(start, start + step)
        # What is mapped from a file may not be written to, and torch would have it copied: here a little at a time.
        first, second = (torch.from_numpy(np.require(side[part], np.float32, "W")) for side in (one, two))
        torch.bmm(first, second, out=torch.from_numpy(found[part]))
    return found


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


def energy(gram: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """The squared weight that maps [..., position, factor] explain of gram [..., position, position], mixes fitted: [...]."""
    length = np.sqrt((maps**2).sum(-2, keepdims=True))
    maps = maps / np.where(length > 0, length, 1.0)
    held = maps.swapaxes(-1, -2) @ (gram @ maps)
    return np.asarray((held * inverse_gram(maps)).sum((-1, -2)))


def inverse_gram(maps: np.ndarray) -> np.ndarray:
    """Inverse of maps.T @ maps for columns of unit length, [..., factor, factor], factor = 1, 2 or 3; a column of zeros takes
    no part.
    """
    square = np.array(maps, copy=True).swapaxes(-1, -2) @ maps  # of one array and itself numpy takes a slower product
    diagonal = np.einsum("...ii->...i", square)
    diagonal[...] = np.where(diagonal > 0, diagonal + RIDGE, 1.0)
    # Spelled out because a factorisation of each is slower.
    rank = square.shape[-1]
    if rank == 1:
        return np.asarray(1.0 / square)
    inverse, s = np.empty_like(square), square
    if rank == 2:
        inverse[..., 0, 0], inverse[..., 1, 1] = s[..., 1, 1], s[..., 0, 0]
        inverse[..., 0, 1] = inverse[..., 1, 0] = -s[..., 0, 1]
    else:
        for row, column in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)):
            (a, b), (c, d) = ((row + 1) % 3, (row + 2) % 3), ((column + 1) % 3, (column + 2) % 3)
            inverse[..., row, column] = s[..., a, c] * s[..., b, d] - s[..., a, d] * s[..., b, c]
            inverse[..., column, row] = inverse[..., row, column]
    return np.asarray(inverse / np.einsum("...i,...i->...", s[..., 0, :], inverse[..., :, 0])[..., None, None])
