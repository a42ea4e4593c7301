"""One-sided NMF of a whole layer from the side of its inputs: which groups of inputs its neurons read alike, and where.

The inputs get a channel factor >= 0 that all neurons share, every neuron gets a signed spatial map for each factor: the groups
behind high-low frequency detectors and black-and-white against colour (Voss et al., "Visualizing Weights", section on
one-sided NMF).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from generator.analyses.gram import Grams, energy, inverse_gram, position_grams
from generator.analyses.nmf import RESTARTS, best_maps
from generator.records import NeuronFactors

MAPS = "A map's value is the weight its factor contributes there; a factor's weights on the channels have unit length."
BYTES = 1 << 26  # of one temporary array


def factor_group(kernel: np.ndarray, factors: int = 3, seed: int = 0) -> NeuronFactors:
    """Factors a layer's kernels jointly: channel factors >= 0 shared by the layer, signed maps for each neuron.

    kernel: float32 [unit, input, row, col]. In the result maps [unit, row, col, factor] are signed and mixes [unit, input,
    factor] are the shared channel factors, >= 0, the same for every unit, in order of the weight they carry. explained and
    bound are each unit's own share; a unit with NaN, Inf or zeros only takes no part and has a note. Raises ValueError for
    factors < 1 or a kernel without four axes.
    """
    if kernel.ndim != 4 or factors < 1:
        raise ValueError(f"a group needs a kernel with four axes and factors >= 1, not {kernel.shape} and {factors}")
    units, inputs, rows, cols = kernel.shape
    weights = np.asarray(kernel, dtype=np.float32).reshape(units, inputs, rows * cols)
    own = position_grams(weights)
    level = _levelled(weights, own)
    channels = _channels(level, factors, seed)
    maps, explained = _maps(level, channels)
    order = np.argsort(-np.linalg.norm(maps.reshape(-1, factors), axis=0), kind="stable")
    empty = ~own.usable
    peak = np.max(own.norm[~empty], initial=0.0)
    bound = np.linalg.eigvalsh(own.gram)[:, -factors:].sum(1)
    return NeuronFactors(
        maps=(maps[:, :, order] * peak).astype(np.float32).reshape(units, rows, cols, factors),
        mixes=np.broadcast_to(channels[:, order].astype(np.float32), (units, inputs, factors)),
        explained=np.where(empty, np.nan, explained).astype(np.float32),
        bound=np.where(empty, np.nan, np.clip(bound, 0.0, 1.0)).astype(np.float32),
        noise=group_noise(units * rows * cols, inputs, factors),
        method="semi-nmf",
        notes=own.notes,
    )


def _levelled(weights: np.ndarray, own: Grams) -> np.ndarray:
    """Weights over the norm of the layer's largest neuron, zeros for neurons that take no part: float32 [unit, input,
    position].
    """
    usable = own.usable
    peak = np.max(own.norm[usable], initial=0.0)
    level = np.zeros_like(weights)
    np.divide(weights, peak, out=level, where=usable[:, None, None], casting="unsafe") if peak > 0 else None
    return level


def _channels(level: np.ndarray, factors: int, seed: int) -> np.ndarray:
    """Shared channel factors [input, factor] >= 0, columns of unit length."""
    gram = np.zeros((level.shape[1],) * 2)
    step = max(1, BYTES // (4 * max(1, level[:1].size)))
    for start in range(0, len(level), step):
        part = level[start : start + step].transpose(1, 0, 2).reshape(level.shape[1], -1)
        gram += part @ part.T
    trace = np.trace(gram)
    if trace <= 0:
        return np.zeros((level.shape[1], factors))
    return _fitted(gram[None] / trace, factors, seed)[0]


def _fitted(gram: np.ndarray, factors: int, seed: int) -> np.ndarray:
    values, vectors = np.linalg.eigh(gram)
    return best_maps(gram, values, vectors, factors, seed, RESTARTS)


def _maps(level: np.ndarray, channels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least-squares maps [unit, position, factor] for given channel factors, and the share they explain of each unit."""
    read = np.matmul(level.transpose(0, 2, 1), channels)
    maps = read @ inverse_gram(channels)
    total = np.einsum("uip,uip->u", level, level, dtype=np.float64)
    return maps, np.clip((maps * read).sum((1, 2)) / np.where(total > 0, total, 1.0), 0.0, 1.0)


@lru_cache(maxsize=256)
def group_noise(rows: int, inputs: int, factors: int) -> float:
    """Share that shared channel factors explain of Gaussian noise, `rows` = units times positions: one draw of the whole
    layer.
    """
    if rows < 1 or inputs < 1:
        return float("nan")
    lower = np.tril(np.random.default_rng(0).standard_normal((inputs, min(inputs, rows))), -1)
    diagonal = np.arange(lower.shape[1])
    lower[diagonal, diagonal] = np.sqrt(np.random.default_rng(1).chisquare(rows - diagonal))
    gram = (lower @ lower.T)[None] / (lower**2).sum()
    return float(energy(gram, _fitted(gram, factors, 0))[0])
