"""The non-negative vectors inside a span, and the choice among them that depends on the span alone.

Where the span of a kernel's top singular vectors U holds r independent non-negative vectors, any r of them span it and so
attain the SVD bound of semi-NMF (Ding, Li & Jordan, TPAMI 32(1), 2010, section 3) without iterating. All such vectors are U t
with t in the cone {t : U t >= 0}. It is full as soon as one of them is positive everywhere (Gillis & Kumar, SIAM J. Matrix
Anal. Appl. 36(4), 2015); cut at the height of that one a cone of three dimensions is a convex polygon, whose corners are found
by walking along its edges. The widest simplex among the extreme rays gives the clearest colours and is a function of the span
alone.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations

import numpy as np

NEGATIVE = 1e-7  # entries of unit vectors, and rows of a basis, below this are rounding: they count as zero
INNER = 1e-6  # a positive vector's entry is at least this share of its row's length
REFLECTIONS, MARGIN = 16, 2e-3  # in search of a positive vector: how often, and how far from every side, at unit length
FLAT = 1e-2  # a simplex with a smaller determinant (of unit vectors) is no picture: its maps are all but equal
TIED = 1e-6  # determinants this close, relatively, are a tie; the earliest corners win
SAME = 1e-9  # corners closer than this, in shares of their distance from the positive vector, are one corner
LANES = 1 << 13  # entries of one temporary array: small enough to stay in the processor's cache
TINY = 1e-300
MOST = 48  # corners from which the widest simplex is chosen; of more every few are taken


def simplex(basis: np.ndarray, inner: np.ndarray | None = None, flat: float = FLAT) -> tuple[np.ndarray, np.ndarray]:
    """The widest simplex of non-negative unit vectors in each span, where basis @ inner is positive wherever the basis is not
    zero.

    basis: float64 [unit, position, r], orthonormal columns, r = 1, 2 or 3; inner: [unit, r], looked for where it is None; flat:
    the least determinant that counts.
    Returns found: bool [unit], and maps: float64 [unit, position, r], >= 0, columns of unit length, zero where not found.
    """
    units, positions = basis.shape[:2]
    found, maps = np.zeros(units, bool), np.zeros(basis.shape)
    inner = inner_vectors(basis) if inner is None else inner
    step = max(1, LANES // max(1, positions))
    for start in range(0, units, step):
        part = slice(start, start + step)
        found[part], maps[part] = _simplex(basis[part], inner[part], flat)
    return found, maps


def inner_vectors(basis: np.ndarray) -> np.ndarray:
    """A vector t of each span [unit, position, r] with basis @ t > 0, where one is found: [unit, r].

    Where a constant map falls in the span, reflected at the side it is farthest behind until it is behind none (Motzkin &
    Schoenberg, Canad. J. Math. 6, 1954).
    """
    inner = basis.sum(1)
    inner /= np.maximum(np.sqrt((inner**2).sum(1, keepdims=True)), NEGATIVE)
    left = np.nonzero(_behind(basis, inner)[0])[0] if basis.shape[2] > 1 else np.zeros(0, int)
    for _ in range(REFLECTIONS):
        behind, height, length = _behind(basis[left], inner[left])
        left, height, length = left[behind], height[behind], length[behind]
        if not len(left):
            break
        lane, side = np.arange(len(left)), np.argmin(height, axis=1)
        moved = inner[left] + (2 * (MARGIN - height[lane, side]) / length[lane, side])[:, None] * basis[left, side]
        inner[left] = moved / np.sqrt((moved**2).sum(1, keepdims=True))
    return inner


def _behind(basis: np.ndarray, inner: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which vectors of spans are behind a side: bool [unit]; how far before each they are, in shares of its length, and the
    lengths of the sides: [unit, position].
    """
    length = np.sqrt(np.einsum("upr,upr->up", basis, basis))
    length[length <= NEGATIVE] = np.inf
    height = (basis @ inner[:, :, None])[:, :, 0]
    behind = (height <= INNER * length) & (length < np.inf)
    return behind.any(1), height / length, length


def _simplex(basis: np.ndarray, inner: np.ndarray, flat: float) -> tuple[np.ndarray, np.ndarray]:
    rows = basis.transpose(1, 2, 0).copy()  # [position, r, unit]: every operation below runs along units
    length = np.sqrt(np.einsum("pru,pru->pu", rows, rows))
    rows *= (length > NEGATIVE)[:, None]
    centre = inner.T / np.maximum(np.sqrt((inner**2).sum(1)), NEGATIVE)
    height = np.einsum("pru,ru->pu", rows, centre)
    open_ = np.nonzero(((height > INNER * length) | (length <= NEGATIVE)).all(0) & (length > NEGATIVE).any(0))[0]
    found, maps = np.zeros(len(basis), bool), np.zeros(basis.shape)
    if len(open_):
        rays = _widest(*_rays(rows[:, :, open_], centre[:, open_], height[:, open_]))
        wide = np.abs(_determinants([rays[:, one].T for one in range(rays.shape[1])])) > flat
        found[open_] = wide
        some = np.maximum(basis[open_] @ (rays * wide[:, None, None]).transpose(0, 2, 1), 0.0)
        maps[open_] = some * (some >= 2 * NEGATIVE)
    return found, maps


def frame(axis: np.ndarray) -> np.ndarray:
    """Unit vectors at right angles to unit vectors [r, ...] and to each other: [r - 1, r, ...], r = 1, 2 or 3."""
    if len(axis) == 1:
        return np.zeros((0, *axis.shape))
    if len(axis) == 2:
        return np.stack([-axis[1], axis[0]])[None]
    # Duff et al., "Building an Orthonormal Basis, Revisited", JCGT 6(1), 2017.
    x, y, z = axis
    sign = np.copysign(1.0, z)
    scale = -1.0 / (sign + z)
    across = x * y * scale
    one = np.stack([1.0 + sign * x * x * scale, sign * across, -sign * x])
    return np.stack([one, np.stack([across, sign + y * y * scale, -y])])


def _rays(rows: np.ndarray, centre: np.ndarray, height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Extreme rays of {t : rows t >= 0}, each a unit vector: float64 [ray, r, unit], and which are there: bool [ray, unit].

    rows: [position, r, unit]; centre: [r, unit], inside; height: [position, unit], rows @ centre.
    """
    rank, units = centre.shape
    if rank == 1:
        return centre[None], np.ones((1, units), bool)
    across = frame(centre)
    slopes = np.einsum("pru,cru->cpu", rows, across) / np.where(height > 0, height, 1.0)
    if rank == 2:
        with np.errstate(divide="ignore"):
            far = np.stack([-1.0 / slopes[0].max(0), -1.0 / slopes[0].min(0)])[:, None]
        there = np.isfinite(far[:, 0])
        far = np.where(there[:, None], far, 0.0)
    else:
        far, there = _corners(slopes)
    rays = centre + sum(far[:, which, None] * across[which] for which in range(rank - 1))
    return rays / np.sqrt((rays**2).sum(1))[:, None], there


def _corners(slopes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the polygons {w : slopes . w >= -1}: float64 [corner, (x, y), unit], and which are there: [corner, unit].

    slopes: [(x, y), position, unit]; their hull holds zero, so every polygon is bounded. The walk goes round once.
    """
    x, y = slopes
    lane = np.arange(x.shape[1])
    first = edge = np.argmin(x, axis=0)  # the edge that the x axis runs into
    walking = x[edge, lane] < 0
    here = np.stack([-1.0 / np.where(walking, x[edge, lane], -1.0), np.zeros(len(lane))])
    left = np.maximum(1.0 + x * here[0], 0.0)  # how far each side is, in shares of its distance from zero
    corners: list[np.ndarray] = []
    there: list[np.ndarray] = []
    while walking.any() and len(corners) <= len(x):
        along = np.stack([y[edge, lane], -x[edge, lane]])
        along /= np.sqrt((along**2).sum(0)) + TINY
        falls = x * along[0]
        falls += y * along[1]
        falls[edge, lane] = 0.0
        speed = falls / (left + TINY)
        edge = np.argmin(speed, axis=0)  # the side that is reached first
        walking = walking & (speed[edge, lane] < 0)
        far = walking * left[edge, lane] / np.maximum(-falls[edge, lane], TINY)
        here = here + far * along
        falls *= far
        left += falls
        np.maximum(left, 0.0, out=left)
        there.append(walking & ((far > SAME * np.sqrt((here**2).sum(0))) | (not corners)))
        corners.append(here)
        walking = walking & (edge != first)
    if not corners:
        return np.zeros((0, 2, len(lane))), np.zeros((0, len(lane)), bool)
    return np.stack(corners), np.stack(there)


def _widest(rays: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Of each unit's rays the r that span the largest simplex: float64 [unit, r, r], zero where there are fewer than r."""
    rank, units = rays.shape[1:]
    counts = there.sum(0)
    chosen = np.zeros((units, rank, rank))
    for count in np.unique(counts[counts >= rank]):
        alike = np.nonzero(counts == count)[0]
        which, lane = np.nonzero(there[:, alike].T)[::-1]
        own = rays[which, :, alike[lane]].reshape(len(alike), count, rank)
        chosen[alike] = _widest_few(own[:, :: -(-count // MOST)])
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
