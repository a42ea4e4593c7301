"""One-sided NMF of every neuron of a layer: its kernel as a few pictures, and how each picture reads the inputs.

A neuron's weights X [position, input] are written as A B: maps A >= 0 [position, factor], mixes B [factor, input] of either
sign, with ||X - AB||^2 least: semi-NMF (Ding, Li & Jordan, TPAMI 32(1), 2010), as used for weights by Voss et al.,
"Visualizing Weights" (Distill 2021). Given A the best B is a least-squares fit, so the error depends on X only through X X.T
[position, position], and all neurons of all layers are one batch of small problems. Where the top singular vectors span a full
cone of non-negative vectors the minimum is known in closed form (`cone`); elsewhere the best span that has such a cone is
searched (`positive`). Either way the answer depends on the weights alone, and no longer on a frame for the inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from generator.analyses.cone import simplex
from generator.analyses.gram import Grams, energy, inverse_gram, position_grams, products
from generator.analyses.positive import positive_span
from generator.analyses.posneg import posneg
from generator.analyses.templates import match_factors
from generator.records import NeuronFactors

METHODS = ("semi-nmf", "posneg")
MAPS = (
    "A factor's brightness at a position is the L2 norm of the weights it contributes there; its mix of inputs has unit length."
)
ONE_POSITION = "its kernels hold one position, so there is nothing to factor"
MOST = 3  # factors: there are no more colours
RANK = 1e-6  # a singular value whose square is below this share of the largest is rounding
CERTAIN = 1e-5  # a picture this close to the bound is the closed form: it leads the colours, since no search decides it
RESTARTS = 1  # seeded starts beside the fixed ones
UNITS, BYTES = 1024, 1 << 25  # at a time: neurons, and Gram matrices of theirs
AT_ONCE = 64  # neurons whose mixes change places
DRAWS, NOISE_POSITIONS = 64, 1024  # of noise; with more positions than this no noise is drawn


def factor_neurons(
    kernel: np.ndarray, factors: int = 3, seed: int = 0, method: str = "semi-nmf", restarts: int = RESTARTS, threads: int = 1
) -> NeuronFactors:
    """Factors every neuron's kernel, in colours matched within the layer.

    kernel: float32 [unit, input, row, col]. `seed` and `restarts` only add starts to the search, which win where they explain
    more; the number of threads changes nothing. Where there is nothing to factor (one position, zeros, NaN, Inf) maps and mixes
    are zero, shares NaN, and a note says why. Raises ValueError for an unknown method, factors other than 1, 2 or 3, or a
    kernel without four axes.
    """
    return factor_layers([kernel], factors, seed, method, restarts, threads)[0]


def factor_layers(
    kernels: Sequence[np.ndarray],
    factors: int = 3,
    seed: int = 0,
    method: str = "semi-nmf",
    restarts: int = RESTARTS,
    threads: int = 1,
) -> list[NeuronFactors]:
    """`factor_neurons` of several layers, which gives the same and costs less than one at a time."""
    for kernel in kernels:
        _checked(kernel, factors, method)
    weights = [kernel.reshape(*kernel.shape[:2], kernel.shape[2] * kernel.shape[3]) for kernel in kernels]
    parts: list[list[_Parts]] = [[] for _ in kernels]
    for batch in _batches(weights):
        pieces = [weights[layer][own] for layer, own in batch]
        for (layer, _), part in zip(batch, _factored(pieces, factors, seed, method, restarts, threads), strict=True):
            parts[layer].append(part)
    return _each(lambda layer: _coloured(kernels[layer], parts[layer], factors, method), range(len(kernels)), threads)


def _checked(kernel: np.ndarray, factors: int, method: str) -> None:
    if kernel.ndim != 4:
        raise ValueError(f"a kernel has the axes unit, input, row, col; this one has the shape {kernel.shape}")
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; known: {', '.join(METHODS)}")
    if not 1 <= factors <= MOST:
        raise ValueError(f"factors must be 1, 2 or 3, not {factors}")


def _batches(weights: Sequence[np.ndarray]) -> Iterator[list[tuple[int, slice]]]:
    """Layers cut in pieces, and put together again as far as they have the same positions: layers with their units."""
    batch: list[tuple[int, slice]] = []
    room, last = 0, -1
    for layer, (units, _, positions) in enumerate(own.shape for own in weights):
        size = 8 * max(1, positions) ** 2
        step = max(1, min(UNITS, BYTES // size))
        for start in range(0, max(1, units), step):
            if batch and (positions != last or room < step * size):
                yield batch
                batch = []
            room, last = (room if batch else BYTES) - step * size, positions
            batch.append((layer, slice(start, start + step)))
    if batch:
        yield batch


def _each(work: Callable[[Any], Any], things: Sequence[Any], threads: int) -> list[Any]:
    """The same done to every thing, on so many threads."""
    if threads < 2 or len(things) < 2:
        return [work(thing) for thing in things]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, things))


# Maps, readings (mixes with the factor before the input: whole rows move when colours are matched), explained, bound, notes.
_Parts = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _coloured(kernel: np.ndarray, parts: Sequence[_Parts], factors: int, method: str) -> NeuronFactors:
    """The factors of a layer from those of its pieces, in the layer's colours."""
    units, inputs, rows, cols = kernel.shape
    maps, readings, explained, bound, notes = (_joined(column) for column in zip(*parts, strict=True))
    order = match_factors(
        readings.transpose(0, 2, 1), np.linalg.norm(maps.astype(np.float64), axis=1), explained > bound - CERTAIN
    )
    for start in range(0, units, AT_ONCE):  # in their place: a second copy would be felt
        part = readings[start : start + AT_ONCE]
        part[...] = part[np.arange(len(part))[:, None], order[start : start + AT_ONCE]]
    return NeuronFactors(
        maps=np.take_along_axis(maps, order[:, None, :], 2).reshape(units, rows, cols, factors),
        mixes=readings.transpose(0, 2, 1),
        explained=explained,
        bound=bound,
        noise=noise_share(rows * cols, inputs, factors, method),
        method=method,
        notes=tuple(notes.tolist()),
    )


def _joined(column: tuple[np.ndarray, ...]) -> np.ndarray:
    return column[0] if len(column) == 1 else np.concatenate(column)


def _factored(pieces: Sequence[np.ndarray], factors: int, seed: int, method: str, restarts: int, threads: int) -> list[_Parts]:
    """Weights [unit, input, position] with the same positions -> maps [unit, position, factor], readings [unit, factor, input],
    shares, notes of each.
    """
    if pieces[0].shape[2] < 2 or not any(piece.size for piece in pieces):
        return [_nothing(piece, factors) for piece in pieces]
    known = _each(lambda piece: _known(piece, factors), pieces, threads)
    if method == "posneg":
        return _each(lambda pair: _posneg(pair[0], pair[1], factors, seed), list(zip(pieces, known, strict=True)), threads)
    _search([own.exact for own in known], factors, seed, restarts, threads)
    return _each(lambda pair: _with_mixes(*pair), list(zip(pieces, known, strict=True)), threads)


@dataclass(frozen=True)
class _Exact:
    """What needs no search: maps [unit, position, factor], zero for the units that are left, and the spectra of those."""

    maps: np.ndarray
    left: np.ndarray  # int [left]
    gram: np.ndarray  # [left, position, position]
    values: np.ndarray  # [left, s], the largest, ascending
    vectors: np.ndarray  # [left, position, s]


@dataclass(frozen=True)
class _Known:
    """Of a piece: its Gram matrices, the most that maps could explain [unit], and the maps that are known."""

    grams: Grams
    bound: np.ndarray
    exact: _Exact


def _known(weights: np.ndarray, factors: int) -> _Known:
    grams = position_grams(np.asarray(weights, dtype=np.float32))
    values, vectors = np.linalg.eigh(grams.gram)
    return _Known(grams, values[:, -factors:].sum(1), _exact(grams.gram, values, vectors, factors))


def _nothing(weights: np.ndarray, factors: int) -> _Parts:
    units, inputs, positions = weights.shape
    maps, readings = np.zeros((units, positions, factors), np.float32), np.zeros((units, factors, inputs), np.float32)
    undefined = np.full(units, np.nan, np.float32)
    return maps, readings, undefined, undefined.copy(), np.array((ONE_POSITION,) * units, dtype=object)


def best_maps(gram: np.ndarray, values: np.ndarray, vectors: np.ndarray, factors: int, seed: int, restarts: int) -> np.ndarray:
    """Non-negative maps that explain most of each Gram matrix: float64 [unit, position, factor], columns of unit length or
    zero.

    gram: float64 [unit, position, position] of trace 1 or 0; values, vectors: its eigenvalues, ascending, and eigenvectors.
    """
    exact = _exact(gram, values, vectors, factors)
    _search([exact], factors, seed, restarts, 1)
    return exact.maps


def _exact(gram: np.ndarray, values: np.ndarray, vectors: np.ndarray, factors: int) -> _Exact:
    """The maps of those units whose top singular vectors span them."""
    maps = np.zeros((*gram.shape[:2], factors))
    reach = min(factors, gram.shape[1])
    rank = np.minimum((values > RANK * values[:, -1:]).sum(1), reach) * (values[:, -1] > 0)
    left = np.zeros(0, int)
    for width in range(1, reach + 1):
        units = np.nonzero(rank == width)[0]
        basis = vectors[units, :, -width:]
        found, maps[units, :, :width] = simplex(basis)
        left = units[~found]
        if width < reach:
            maps[left, :, : width + 1] = _with_one_more(vectors[left, :, -width:])
    tops = max(-3, -gram.shape[1]) if reach == 1 else -reach
    return _Exact(maps, left, gram[left], values[left, tops:], vectors[left, :, tops:])


def _search(known: Sequence[_Exact], factors: int, seed: int, restarts: int, threads: int) -> None:
    """Fills in the maps of the units that are left, those of all pieces together: every step of the search costs a little for
    itself.
    """

    def searched(gram: np.ndarray, values: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, ...]:
        basis, inner = positive_span(gram, values, vectors, reach, seed, restarts)
        found, maps = simplex(basis, inner, flat=0.0)
        maps[~found, :, : min(2, reach)] = _sides(vectors[~found, :, -1])[:, :, :reach]
        return found, maps

    reach = min(factors, known[0].maps.shape[1])
    gram, values, vectors = (
        _joined(column) for column in zip(*((own.gram, own.values, own.vectors) for own in known), strict=True)
    )
    maps = _along(searched, threads, gram, values, vectors)[1]
    for own, found in zip(known, np.split(maps, np.cumsum([len(own.left) for own in known])[:-1]), strict=True):
        own.maps[own.left, :, :reach] = found


def _along(work: Callable[..., tuple[np.ndarray, ...]], threads: int, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """Work done on all units of arrays [unit, ...], so many at a time."""
    cuts = [slice(start, start + UNITS) for start in range(0, max(1, len(arrays[0])), UNITS)]
    found = _each(lambda cut: work(*(array[cut] for array in arrays)), cuts, threads)
    return tuple(_joined(column) for column in zip(*found, strict=True))


def _with_one_more(basis: np.ndarray) -> np.ndarray:
    """Maps [unit, position, r + 1] of spans [unit, position, r], r = 1 or 2: any positive vector opens them (Gillis & Kumar
    2015), and the length of each position's weights is one.
    """
    if basis.shape[2] == 1:
        return _sides(basis[:, :, 0])
    bright = np.sqrt((basis**2).sum(2))
    inner = (bright[:, None] @ basis)[:, 0]
    across = bright - (basis @ inner[:, :, None])[:, :, 0]
    length = np.sqrt((across**2).sum(1, keepdims=True))
    across /= np.where(length > 0, length, 1.0)
    return simplex(np.concatenate([basis, across[:, :, None]], 2), np.concatenate([inner, length], 1), flat=0.0)[1]


def _sides(vector: np.ndarray) -> np.ndarray:
    """The positive and the negative part of [unit, position], the larger first, at unit length: an exact pair of maps at rank
    one.
    """
    parts = np.stack([np.maximum(vector, 0.0), np.maximum(-vector, 0.0)], 2)
    length = np.linalg.norm(parts, axis=1, keepdims=True)
    parts = parts / np.where(length > 0, length, 1.0)
    return np.where(length[:, :, :1] >= length[:, :, 1:], parts, parts[:, :, ::-1])


def _with_mixes(weights: np.ndarray, known: _Known) -> _Parts:
    """Mixes fitted to unit-length maps; the length of each mix goes to its map."""
    grams, maps = known.grams, known.exact.maps
    inverse = inverse_gram(maps)
    held = maps.swapaxes(1, 2) @ (grams.gram @ maps)
    length = np.sqrt(np.maximum(((inverse @ held) * inverse).sum(2), 0.0))
    fit = (maps @ inverse) / np.where(length > 0, length, np.inf)[:, None, :]
    readings = _read(weights, fit, grams)
    norm = np.where(np.isfinite(grams.norm), grams.norm, 0.0)
    shown = (maps * (length * norm[:, None])[:, None, :]).astype(np.float32)
    return shown, readings, *_shares(known, (inverse * held).sum((1, 2)))


def _shares(known: _Known, explained: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Explained and bound [unit], NaN where there is nothing to factor, and the notes."""
    grams = known.grams
    shares = [np.clip(share, 0.0, 1.0).astype(np.float32) for share in (explained, known.bound)]
    for share in shares:
        share[~grams.usable] = np.nan
    return shares[0], shares[1], np.array(grams.notes, dtype=object)


def _posneg(weights: np.ndarray, known: _Known, factors: int, seed: int) -> _Parts:
    """Every neuron through scikit-learn, in the same scale as the semi-NMF's."""
    grams = known.grams
    units, inputs, positions = weights.shape
    maps, mixes = np.zeros((units, positions, factors)), np.zeros((units, inputs, factors))
    explained = np.zeros(units)
    for unit in np.nonzero(grams.usable)[0]:
        level = weights[unit].astype(np.float64) / grams.norm[unit]
        maps[unit], mixes[unit] = posneg(level, factors, seed)
        explained[unit] = 1.0 - ((level.T - maps[unit] @ mixes[unit].T) ** 2).sum()
    length = np.linalg.norm(mixes, axis=1, keepdims=True)
    norm = np.where(np.isfinite(grams.norm), grams.norm, 0.0)[:, None, None]
    mixes /= np.where(length > 0, length, 1.0)
    readings = np.ascontiguousarray(mixes.transpose(0, 2, 1), dtype=np.float32)
    return (maps * length * norm).astype(np.float32), readings, *_shares(known, explained)


def _read(weights: np.ndarray, fit: np.ndarray, grams: Grams) -> np.ndarray:
    """fit [unit, position, factor] read off weights [unit, input, position], over the norm: float32 [unit, factor, input]."""
    norm = np.where(np.isfinite(grams.norm) & (grams.norm > 0), grams.norm, np.inf)
    with np.errstate(all="ignore"):
        scaled = np.ascontiguousarray((fit / norm[:, None, None]).transpose(0, 2, 1), dtype=np.float32)
        readings = products(scaled, weights.transpose(0, 2, 1))
    for unit in np.nonzero((grams.norm < 1e-12) | (grams.norm > 1e15) | ~np.isfinite(grams.norm))[0]:
        readings[unit] = ((weights[unit].astype(np.float64) / norm[unit]) @ fit[unit]).T if grams.usable[unit] else 0.0
    return readings


@lru_cache(maxsize=256)
def noise_share(positions: int, inputs: int, factors: int, method: str = "semi-nmf") -> float:
    """Median share that `factors` factors explain of Gaussian noise with these positions and inputs; NaN with one position."""
    if positions < 2 or inputs < 1 or positions > NOISE_POSITIONS:
        return float("nan")
    random = np.random.default_rng(0)
    if method == "posneg":
        drawn = random.standard_normal((DRAWS, inputs, positions)).astype(np.float32)
        return float(np.median(_factored([drawn], factors, 0, method, 0, 1)[0][2]))
    gram = _noise_grams(random, positions, inputs)
    values, vectors = np.linalg.eigh(gram)
    return float(np.median(energy(gram, best_maps(gram, values, vectors, factors, 0, 0))))


def _noise_grams(random: np.random.Generator, positions: int, inputs: int) -> np.ndarray:
    """Gram matrices of noise, trace 1: float64 [draw, position, position]; drawn without the noise itself (Bartlett 1933)."""
    draws = max(8, min(DRAWS, 4096 // positions))  # large maps vary less
    lower = np.tril(random.standard_normal((draws, positions, min(positions, inputs))), -1)
    diagonal = np.arange(lower.shape[2])
    lower[:, diagonal, diagonal] = np.sqrt(random.chisquare(inputs - diagonal, (draws, len(diagonal))))
    gram = lower @ lower.transpose(0, 2, 1)
    return np.asarray(gram / np.einsum("upp->u", gram)[:, None, None])
