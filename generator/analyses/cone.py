"""The non-negative vectors inside a subspace, and the choice among them that depends on the subspace alone.

Where the span of a kernel's top singular vectors U holds r independent non-negative vectors, any r of them span it and so
attain the SVD bound of semi-NMF (Ding, Li & Jordan, TPAMI 32(1), 2010, section 3) without iterating. All such vectors are U t
with t in the cone {t : U t >= 0}; the widest simplex among its extreme rays gives the clearest colours and is a function of
the span alone.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations

import numpy as np

NEGATIVE = 1e-7  # how far below zero an entry of a unit vector may lie and still count as zero
PARALLEL = 1e-7  # two rows whose cross product is shorter than this share of their lengths define no ray
MOST = 81  # positions whose pairs are all tried
FLAT = 1e-2  # a simplex with a smaller determinant (of unit vectors) is no picture: its maps are all but equal
TIED = 1e-6  # determinants this close, relatively, are a tie; the earliest positions win
ELEMENTS = 1 << 15  # of one temporary array: small enough to stay in the processor's cache
MANY = 12  # a cone with more rays than this is first rid of rays that are there twice


def simplex(basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The widest simplex of non-negative unit vectors in each span, where the span is full of them.

    basis: float64 [unit, position, r], orthonormal columns, r = 1, 2 or 3.
    Returns found: bool [unit], and maps: float64 [unit, position, r], >= 0, columns of unit length, zero where not found. Of
    very large maps none is looked for: the pairs of positions would be too many.
    """
    units, positions, rank = basis.shape
    found, maps = np.zeros(units, bool), np.zeros(basis.shape)
    if rank == 3 and positions > MOST:
        return found, maps
    pairs = len(_corners(positions, rank)[0])
    step = max(1, ELEMENTS // max(1, pairs))
    for start in range(0, units, step):
        part = slice(start, start + step)
        found[part], maps[part] = _simplex(basis[part])
    return found, maps


def _simplex(basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rays, unit = extreme_rays(basis)
    chosen = _widest(rays, unit, len(basis))
    found = np.abs(np.linalg.det(chosen)) > FLAT
    maps = np.maximum(basis @ chosen.transpose(0, 2, 1), 0.0)
    maps[maps < 2 * NEGATIVE] = 0.0
    return found, np.where(found[:, None, None], maps, 0.0)


def extreme_rays(basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Extreme rays of {t : basis t >= 0}, in order of unit and of the positions that define them; some may come twice.

    basis: float64 [unit, position, r]. Returns rays: float64 [ray, r] of unit length, and unit: int [ray], whose ray it is.
    """
    rows = np.ascontiguousarray(basis.transpose(1, 2, 0))  # [position, r, unit]: every operation below runs along units
    candidates, proper = _candidates(rows)
    if len(basis) == 1:
        candidates, proper = _thinned(candidates, proper, rows)
    upward, downward = _sides(candidates, proper, rows)
    unit, candidate = np.nonzero((upward | downward).T)
    sign = np.where(upward[candidate, unit], 1.0, -1.0)
    return candidates[candidate, :, unit] * sign[:, None], unit


def _sides(candidates: np.ndarray, proper: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which candidates have every row on their positive side, and which on their negative: bool [candidate, unit] each."""
    low, high = np.zeros(proper.shape), np.zeros(proper.shape)
    for row in rows:
        value = _dot(candidates, row)
        np.minimum(low, value, out=low)
        np.maximum(high, value, out=high)
    return proper & (low >= -NEGATIVE), proper & (high <= NEGATIVE)


def _thinned(candidates: np.ndarray, proper: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The candidates of a single unit that survive its first rows: with thousands of rows few do."""
    for first in range(0, len(rows), 16):
        upward, downward = _sides(candidates, proper, rows[first : first + 16])
        alive = (upward | downward)[:, 0]
        candidates, proper = candidates[alive], proper[alive]
    return candidates, proper


def _dot(candidates: np.ndarray, row: np.ndarray) -> np.ndarray:
    """[candidate, r, unit] . [r, unit] -> [candidate, unit]; spelled out because einsum is slower here."""
    value = candidates[:, 0] * row[0]
    for axis in range(1, len(row)):
        value += candidates[:, axis] * row[axis]
    return value


def _corners(positions: int, rank: int) -> tuple[np.ndarray, ...]:
    """Index arrays of the rank - 1 rows on whose zero an extreme ray lies."""
    if rank == 3:
        return np.triu_indices(positions, 1)
    return (np.arange(positions if rank == 2 else 1),)


def _candidates(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors orthogonal to r - 1 rows, [candidate, r, unit], and whether those rows define one, [candidate, unit]."""
    corners = _corners(rows.shape[0], rows.shape[1])
    if rows.shape[1] == 1:
        return np.ones((1, 1, rows.shape[2])), np.ones((1, rows.shape[2]), bool)
    lengths = np.sqrt((rows**2).sum(1))
    if rows.shape[1] == 2:
        normal, size = np.stack([-rows[:, 1], rows[:, 0]], 1), lengths > PARALLEL
    else:
        normal = np.stack([_cross(rows, corners, axis) for axis in range(3)], 1)
        size = lengths[corners[0]] * lengths[corners[1]]
    length = np.sqrt((normal**2).sum(1))
    proper = length > np.maximum(PARALLEL * size, 1e-14)
    return normal / np.where(proper, length, 1.0)[:, None], proper


def _cross(rows: np.ndarray, corners: tuple[np.ndarray, ...], axis: int) -> np.ndarray:
    """One component of the cross products of pairs of rows: [pair, unit]."""
    one, two = rows[:, (axis + 1) % 3], rows[:, (axis + 2) % 3]
    first, second = corners
    return one[first] * two[second] - two[first] * one[second]


def _widest(rays: np.ndarray, unit: np.ndarray, units: int) -> np.ndarray:
    """Of each unit's rays the r that span the largest simplex: float64 [unit, r, r], zero where there are fewer than r."""
    rank = rays.shape[1]
    counts = np.bincount(unit, minlength=units)
    chosen = np.zeros((units, rank, rank))
    for count in np.unique(counts[(counts >= rank) & (counts <= MANY)]):
        alike = counts == count
        chosen[alike] = _widest_few(rays[alike[unit]].reshape(-1, count, rank))
    starts = np.cumsum(counts) - counts
    for index in np.nonzero(counts > MANY)[0]:
        own = _distinct(rays[starts[index] : starts[index] + counts[index]])
        if len(own) >= rank:
            chosen[index] = _widest_few(own[None])[0]
    return chosen


def _widest_few(rays: np.ndarray) -> np.ndarray:
    """[unit, slot, r] -> [unit, r, r]: the rows of largest |determinant|; of equals the earliest."""
    choices = _choices(*rays.shape[1:])
    slots = np.ascontiguousarray(rays.transpose(2, 1, 0))
    size = np.abs(_determinants([slots[:, slot] for slot in choices.T]))
    best = np.argmax(size >= size.max(0) * (1 - TIED), axis=0)
    return rays[np.arange(len(rays))[:, None], choices[best]]


@lru_cache(maxsize=64)
def _choices(slots: int, rank: int) -> np.ndarray:
    return np.array(list(combinations(range(slots), rank)))


def _determinants(rows: list[np.ndarray]) -> np.ndarray:
    """Of matrices given as r rows [r, ...], r = 1, 2 or 3; spelled out because a factorisation of each is slower."""
    if len(rows) == 1:
        return np.asarray(rows[0][0])
    if len(rows) == 2:
        return np.asarray(rows[0][0] * rows[1][1] - rows[0][1] * rows[1][0])
    a, b, c = rows
    turns = [(axis, (axis + 1) % 3, (axis + 2) % 3) for axis in range(3)]
    return np.asarray(sum(a[i] * (b[j] * c[k] - b[k] * c[j]) for i, j, k in turns))


def _distinct(rays: np.ndarray) -> np.ndarray:
    """The rays less those that repeat an earlier one."""
    kept: list[np.ndarray] = []
    for ray in rays:
        if all(ray @ other < 1 - 1e-9 for other in kept):
            kept.append(ray)
    return np.array(kept)
