"""One-sided NMF of every neuron of a layer: its kernel as a few pictures, and how each picture reads the inputs.

A neuron's weights X [position, input] are written as A B: maps A >= 0 [position, factor], mixes B [factor, input] of either
sign, with ||X - AB||^2 least: semi-NMF (Ding, Li & Jordan, TPAMI 32(1), 2010), as used for weights by Voss et al.,
"Visualizing Weights" (Distill 2021). Given A the best B is a least-squares fit, so the error depends on X only through X X.T
[position, position], and all neurons of a layer are one batch of small problems. Where the top singular vectors span a full
cone of non-negative vectors the minimum is known in closed form (`cone`); elsewhere it is searched (`hals`). Either way the
answer depends on the weights alone, and no longer on a frame for the inputs.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from generator.analyses.cone import simplex
from generator.analyses.gram import Grams, position_grams
from generator.analyses.hals import energy, inverse_gram, search
from generator.analyses.posneg import posneg
from generator.analyses.templates import match_factors
from generator.records import NeuronFactors

METHODS = ("semi-nmf", "posneg")
MAPS = (
    "A factor's brightness at a position is the L2 norm of the weights it contributes there; its mix of inputs has unit length."
)
ONE_POSITION = "its kernels hold one position, so there is nothing to factor"
RANK = 1e-6  # a singular value whose square is below this share of the largest is rounding
CERTAIN = 1e-5  # a picture this close to the bound is the closed form: it leads the colours, since no search decides it
RESTARTS = 4  # seeded starts beside the fixed ones
BYTES = 1 << 26  # of Gram matrices at a time
DRAWS, NOISE_POSITIONS = 64, 1024  # of noise; with more positions than this no noise is drawn


def factor_neurons(
    kernel: np.ndarray, factors: int = 3, seed: int = 0, method: str = "semi-nmf", restarts: int = RESTARTS
) -> NeuronFactors:
    """Factors every neuron's kernel, in colours matched within the layer.

    kernel: float32 [unit, input, row, col]. `seed` and `restarts` only add starts to the search, which win where they explain
    more. Where there is nothing to factor (one position, zeros, NaN, Inf) maps and mixes are zero, shares NaN, and a note says
    why. Raises ValueError for an unknown method, factors < 1 or a kernel without four axes.
    """
    _checked(kernel, factors, method)
    units, inputs, rows, cols = kernel.shape
    weights = kernel.reshape(units, inputs, rows * cols)
    parts = [_factored(weights[part], factors, seed, method, restarts) for part in _chunks(units, rows * cols)]
    maps, readings, explained, bound, notes = (_joined(column) for column in zip(*parts, strict=True))
    order = match_factors(
        readings.transpose(0, 2, 1), np.linalg.norm(maps.astype(np.float64), axis=1), explained > bound - CERTAIN
    )
    return NeuronFactors(
        maps=np.take_along_axis(maps, order[:, None, :], 2).reshape(units, rows, cols, factors),
        mixes=readings[np.arange(units)[:, None], order].transpose(0, 2, 1),
        explained=explained,
        bound=bound,
        noise=noise_share(rows * cols, inputs, factors, method),
        method=method,
        notes=tuple(notes.tolist()),
    )


def _checked(kernel: np.ndarray, factors: int, method: str) -> None:
    if kernel.ndim != 4:
        raise ValueError(f"a kernel has the axes unit, input, row, col; this one has the shape {kernel.shape}")
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; known: {', '.join(METHODS)}")
    if factors < 1:
        raise ValueError(f"factors must be at least 1, not {factors}")


def _chunks(units: int, positions: int) -> list[slice]:
    step = max(1, BYTES // (8 * max(1, positions) ** 2))
    return [slice(start, start + step) for start in range(0, max(1, units), step)]


# Maps, readings (mixes with the factor before the input: whole rows move when colours are matched), explained, bound, notes.
_Parts = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _joined(column: tuple[np.ndarray, ...]) -> np.ndarray:
    return column[0] if len(column) == 1 else np.concatenate(column)


def _factored(weights: np.ndarray, factors: int, seed: int, method: str, restarts: int) -> _Parts:
    """weights [unit, input, position] -> maps [unit, position, factor], readings [unit, factor, input], shares, notes."""
    units, inputs, positions = weights.shape
    if positions < 2 or inputs < 1:
        return _nothing(weights, factors, (ONE_POSITION,) * units)
    grams = position_grams(np.asarray(weights, dtype=np.float32))
    values, vectors = np.linalg.eigh(grams.gram)
    if method == "posneg":
        maps, readings, explained = _posneg(weights, grams, factors, seed)
    else:
        maps = best_maps(grams.gram, values, vectors, factors, seed, restarts)
        maps, readings, explained = _with_mixes(weights, grams, maps)
    bound = np.clip(values[:, -factors:].sum(1), 0.0, 1.0)
    empty = np.array([note != "" for note in grams.notes], bool)
    explained, bound = (np.where(empty, np.nan, share).astype(np.float32) for share in (explained, bound))
    return maps, readings, explained, bound, np.array(grams.notes, dtype=object)


def _nothing(weights: np.ndarray, factors: int, notes: tuple[str, ...]) -> _Parts:
    units, inputs, positions = weights.shape
    maps, readings = np.zeros((units, positions, factors), np.float32), np.zeros((units, factors, inputs), np.float32)
    undefined = np.full(units, np.nan, np.float32)
    return maps, readings, undefined, undefined.copy(), np.array(notes, dtype=object)


def best_maps(
    gram: np.ndarray, values: np.ndarray, vectors: np.ndarray, factors: int, seed: int = 0, restarts: int = RESTARTS
) -> np.ndarray:
    """Non-negative maps that explain most of each Gram matrix: float64 [unit, position, factor], columns of unit length or
    zero.

    gram: float64 [unit, position, position] of trace 1 or 0; values, vectors: its eigenvalues, ascending, and eigenvectors.
    """
    maps = np.zeros((*gram.shape[:2], factors))
    rank = np.minimum((values > RANK * values[:, -1:]).sum(1), factors)
    rank[values[:, -1] <= 0] = 0
    hard = rank > 3
    for width in range(1, min(factors, 3, gram.shape[1]) + 1):
        units = np.nonzero(rank == width)[0]
        found, wide = simplex(np.ascontiguousarray(vectors[units][:, :, -width:]))
        maps[units[found], :, :width] = wide[found]
        hard[units[~found]] = True
    signed = hard & (rank == 1) & (factors > 1)
    if signed.any():
        maps[signed, :, :2] = _sides(vectors[signed, :, -1])
    left = np.nonzero(hard & ~signed)[0]
    maps[left] = search(gram[left], values[left, -factors:], vectors[left][:, :, -factors:], factors, seed, restarts)
    return maps


def _sides(vector: np.ndarray) -> np.ndarray:
    """The positive and the negative part of [unit, position], the larger first, at unit length: an exact pair of maps at rank
    one.
    """
    parts = np.stack([np.maximum(vector, 0.0), np.maximum(-vector, 0.0)], 2)
    length = np.linalg.norm(parts, axis=1, keepdims=True)
    parts = parts / np.where(length > 0, length, 1.0)
    return np.where(length[:, :, :1] >= length[:, :, 1:], parts, parts[:, :, ::-1])


def _with_mixes(weights: np.ndarray, grams: Grams, maps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mixes fitted to unit-length maps; the length of each mix goes to its map. Returns maps, readings, explained."""
    inverse = inverse_gram(maps)
    held = maps.swapaxes(1, 2) @ grams.gram @ maps
    length = np.sqrt(np.maximum(((inverse @ held) * inverse).sum(2), 0.0))
    fit = (maps @ inverse) / np.where(length > 0, length, np.inf)[:, None, :]
    readings = _read(weights, fit, grams)
    explained = np.clip((inverse * held).sum((1, 2)), 0.0, 1.0)
    norm = np.where(np.isfinite(grams.norm), grams.norm, 0.0)
    return (maps * length[:, None, :] * norm[:, None, None]).astype(np.float32), readings, explained


def _read(weights: np.ndarray, fit: np.ndarray, grams: Grams) -> np.ndarray:
    """fit [unit, position, factor] read off weights [unit, input, position], over the norm: float32 [unit, factor, input]."""
    norm = np.where(np.isfinite(grams.norm) & (grams.norm > 0), grams.norm, np.inf)
    with np.errstate(all="ignore"):
        scaled = (fit / norm[:, None, None]).astype(np.float32)
        readings = np.matmul(np.ascontiguousarray(scaled.transpose(0, 2, 1)), weights.transpose(0, 2, 1), dtype=np.float32)
    for unit in np.nonzero((grams.norm < 1e-12) | (grams.norm > 1e15) | ~np.isfinite(grams.norm))[0]:
        usable = grams.notes[unit] == ""
        readings[unit] = ((weights[unit].astype(np.float64) / norm[unit]) @ fit[unit]).T if usable else 0.0
    return readings


def _posneg(weights: np.ndarray, grams: Grams, factors: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every neuron through scikit-learn: maps, readings, explained, in the same scale as the semi-NMF's."""
    units, inputs, positions = weights.shape
    maps, mixes = np.zeros((units, positions, factors)), np.zeros((units, inputs, factors))
    explained = np.zeros(units)
    for unit in np.nonzero([note == "" for note in grams.notes])[0]:
        level = weights[unit].astype(np.float64) / grams.norm[unit]
        maps[unit], mixes[unit] = posneg(level, factors, seed)
        explained[unit] = 1.0 - ((level.T - maps[unit] @ mixes[unit].T) ** 2).sum()
    length = np.linalg.norm(mixes, axis=1, keepdims=True)
    norm = np.where(np.isfinite(grams.norm), grams.norm, 0.0)[:, None, None]
    mixes /= np.where(length > 0, length, 1.0)
    readings = np.ascontiguousarray(mixes.transpose(0, 2, 1), dtype=np.float32)
    return (maps * length * norm).astype(np.float32), readings, np.clip(explained, 0.0, 1.0)


@lru_cache(maxsize=256)
def noise_share(positions: int, inputs: int, factors: int, method: str = "semi-nmf") -> float:
    """Median share that `factors` factors explain of Gaussian noise with these positions and inputs; NaN with one position."""
    if positions < 2 or inputs < 1 or positions > NOISE_POSITIONS:
        return float("nan")
    random = np.random.default_rng(0)
    if method == "posneg":
        drawn = random.standard_normal((DRAWS, inputs, positions)).astype(np.float32)
        return float(np.median(_factored(drawn, factors, 0, method, 0)[2]))
    gram = _noise_grams(random, positions, inputs)
    values, vectors = np.linalg.eigh(gram)
    return float(np.median(energy(gram, best_maps(gram, values, vectors, factors, restarts=0))))


def _noise_grams(random: np.random.Generator, positions: int, inputs: int) -> np.ndarray:
    """Gram matrices of noise, trace 1: float64 [draw, position, position]; drawn without the noise itself (Bartlett 1933)."""
    draws = max(8, min(DRAWS, 4096 // positions))  # large maps vary less
    lower = np.tril(random.standard_normal((draws, positions, min(positions, inputs))), -1)
    diagonal = np.arange(lower.shape[2])
    lower[:, diagonal, diagonal] = np.sqrt(random.chisquare(inputs - diagonal, (draws, len(diagonal))))
    gram = lower @ lower.transpose(0, 2, 1)
    return np.asarray(gram / np.einsum("upp->u", gram)[:, None, None])
