"""Semi-NMF by iteration, for the neurons whose span holds no full cone of non-negative vectors.

Hierarchical alternating least squares (Cichocki & Phan, IEICE Trans. E92-A(3), 2009) on the Gram matrix, extrapolated and
restarted as in Ang & Gillis (Neural Computation 31(2), 2019). The minimum is not the only one of its kind, so several starts
run side by side, and the weaker ones drop out as they go.
"""

from __future__ import annotations

import numpy as np

from generator.analyses.cone import simplex

RIDGE = 1e-10  # on the Gram matrix of unit columns, so that parallel columns stay solvable
# The least error is sometimes approached only by maps that grow alike and mixes that grow without bound against each other.
# This penalty on their lengths, in shares of the squared weight, keeps the minimum a picture; where it acts it costs about a
# thousandth of the energy.
PENALTY = 1e-5
LIFT = 1e-3  # added to every start: an entry at zero would take several steps to leave it
SWEEPS = 2  # over the factors, for one refit of the mixes
STAGES = (8, 16)  # steps after which the number of starts falls to a third
STEPS, PATIENCE, GAIN = 32, 16, 3e-5  # at most so many steps; until PATIENCE of them bring less than GAIN of the energy
STRIDE, LONGER, FURTHER, LONGEST = 0.5, 1.1, 0.05, 1.2  # extrapolation: its first length, how it grows, and how far
TINY = 1e-30
BYTES = 1 << 26  # of Gram matrices at a time, one for each start
BETTER = 1e-5  # a seeded start wins only where it explains this much more, relatively
FIXED_STARTS = 12  # directions drawn once and for all, the same for every neuron, in the frame of its own singular vectors


def search(gram: np.ndarray, values: np.ndarray, vectors: np.ndarray, factors: int, seed: int, seeded: int) -> np.ndarray:
    """The best non-negative maps found from fixed starts and `seeded` random ones.

    gram: float64 [unit, position, position], trace 1; values, vectors: its largest eigenvalues [unit, factor], ascending, and
    their vectors [unit, position, factor]. Returns float64 [unit, position, factor], >= 0, columns of unit length or zero.
    """
    if not len(gram):
        return np.zeros((0, gram.shape[1], factors))
    step = max(1, BYTES // (8 * gram.shape[1] ** 2 * (FIXED_STARTS + seeded)))
    found = [slice(first, first + step) for first in range(0, len(gram), step)]
    return np.concatenate([_searched(gram[part], values[part], vectors[part], factors, seed, seeded) for part in found])


def _searched(gram: np.ndarray, values: np.ndarray, vectors: np.ndarray, factors: int, seed: int, seeded: int) -> np.ndarray:
    fixed = _starts(values, vectors, factors, 0, FIXED_STARTS)
    random = _starts(values, vectors, factors, seed + 1, seeded)
    return _canonical(gram, _polished(gram, np.concatenate([fixed, random], 1), FIXED_STARTS))


def energy(gram: np.ndarray, maps: np.ndarray, ridge: float = RIDGE) -> np.ndarray:
    """The squared weight that maps [..., position, factor] explain of gram [..., position, position], mixes fitted: [...]."""
    maps = unit_columns(maps)
    held = maps.swapaxes(-1, -2) @ (gram @ maps)
    return np.asarray((held * inverse_gram(maps, ridge)).sum((-1, -2)))


def unit_columns(maps: np.ndarray) -> np.ndarray:
    """Columns of unit length; a column of zeros stays."""
    length = np.sqrt((maps**2).sum(-2, keepdims=True))
    return np.asarray(maps / np.where(length > 0, length, 1.0))


def inverse_gram(maps: np.ndarray, ridge: float = RIDGE) -> np.ndarray:
    """Inverse of maps.T @ maps for columns of unit length, [..., factor, factor]; a column of zeros takes no part."""
    square = maps.swapaxes(-1, -2) @ maps
    diagonal = np.einsum("...ii->...i", square)
    diagonal[...] = np.where(diagonal > 0, diagonal + ridge, 1.0)
    return np.linalg.inv(square)


def _starts(values: np.ndarray, vectors: np.ndarray, factors: int, seed: int, count: int) -> np.ndarray:
    """Clipped random directions of the top span, larger singular values more often: float64 [unit, start, position, factor]."""
    directions = np.random.default_rng(seed).standard_normal((count, vectors.shape[2], factors))
    # The sign of a singular vector is the solver's whim; its larger side is not.
    sign = np.where((vectors**3).sum(1) < 0, -1.0, 1.0)
    frame = vectors * (sign * np.sqrt(np.maximum(values, 0.0)))[:, None, :]
    return unit_columns(np.maximum(np.einsum("upr,srf->uspf", frame, directions), 0.0)) + LIFT


def _polished(gram: np.ndarray, starts: np.ndarray, fixed: int) -> np.ndarray:
    """The best of starts [unit, start, position, factor] after all have run; the first `fixed` win against equals among the
    rest.
    """
    pools = [starts[:, :fixed], starts[:, fixed:]]
    for steps in STAGES:
        ran, share = _run(gram, np.concatenate(pools, 1), steps)
        cut = pools[0].shape[1]
        pools = [_best(ran[:, :cut], share[:, :cut]), _best(ran[:, cut:], share[:, cut:])]
    maps, share = _converged(gram, np.concatenate(pools, 1))
    share[:, : pools[0].shape[1]] *= 1 + BETTER
    return _best(maps, share, 1)[:, 0]


def _best(maps: np.ndarray, share: np.ndarray, count: int | None = None) -> np.ndarray:
    """The `count` starts of largest share, a third of them where no count is given: [unit, start, position, factor]."""
    order = np.argsort(-share, axis=1, kind="stable")[:, : (share.shape[1] + 2) // 3 if count is None else count]
    return np.take_along_axis(maps, order[:, :, None, None], axis=1)


def _run(gram: np.ndarray, starts: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    shape = starts.shape
    repeated = np.repeat(gram, shape[1], axis=0)
    maps, share = _descend(repeated, starts.reshape(-1, *shape[2:]), steps)
    return maps.reshape(shape), share.reshape(shape[:2])


def _converged(gram: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Runs every start until it gains nothing, or STEPS; finished ones leave the batch."""
    units, count = starts.shape[:2]
    maps = starts.reshape(-1, *starts.shape[2:]).copy()
    which = np.repeat(np.arange(units), count)
    share, active = energy(gram[which], maps, PENALTY), np.arange(len(maps))
    for _ in range(STEPS // PATIENCE):
        maps[active], now = _descend(gram[which[active]], maps[active], PATIENCE)
        gained = now > share[active] * (1 + GAIN)
        share[active] = now
        active = active[gained]
        if not len(active):
            break
    return maps.reshape(starts.shape), share.reshape(units, count)


def _descend(gram: np.ndarray, maps: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """`steps` extrapolated steps for each [unit]; where a step turns back its momentum is dropped (O'Donoghue & Candes
    2015).
    """
    maps = unit_columns(maps)
    first = energy(gram, maps, PENALTY)
    rows = ahead = np.ascontiguousarray(maps.transpose(0, 2, 1))  # [unit, factor, position]: a map is then one run of memory
    stride = np.full((len(maps), 1, 1), STRIDE)
    ridge = PENALTY * np.eye(maps.shape[2])
    for _ in range(steps):
        new = _step(gram, ahead, ridge)
        new /= np.maximum(np.sqrt(np.einsum("ufp,ufp->uf", new, new)), TINY)[:, :, None]
        change = new - rows
        back = (np.einsum("ufp,ufp->u", ahead - new, change) > 0)[:, None, None]
        stride = np.where(back, stride / 2, np.minimum(stride * LONGER + FURTHER, LONGEST))
        change *= np.where(back, 0.0, stride)
        rows, ahead = new, np.maximum(change + new, 0.0)
    last = np.ascontiguousarray(rows.transpose(0, 2, 1))
    share = energy(gram, last, PENALTY)
    worse = share < first
    return np.where(worse[:, None, None], maps, last), np.where(worse, first, share)


def _step(gram: np.ndarray, rows: np.ndarray, ridge: np.ndarray) -> np.ndarray:
    """Mixes refitted, then every factor's map in turn at its least-squares optimum, the others held: [unit, factor,
    position].
    """
    columns = rows.transpose(0, 2, 1)
    inverse = np.linalg.inv(rows @ columns + ridge)
    towards = inverse @ (rows @ gram)  # B X.T
    mixing = (towards @ columns) @ inverse  # B B.T
    own = mixing.reshape(len(rows), -1)[:, :: rows.shape[1] + 1]  # its diagonal
    weight = np.maximum((1 + PENALTY) * own, TINY)[:, :, None]  # the penalty is on |map| |mix|
    mixing /= weight
    towards /= weight
    own[...] = 0.0  # a map's own share is what is solved for
    # With the units last each of these small sums is one run along memory.
    mixing, towards, rows = (part.transpose(1, 2, 0).copy() for part in (mixing, towards, rows))
    for factor in [*range(len(rows))] * SWEEPS:
        rest = np.einsum("gu,gpu->pu", mixing[factor], rows)
        np.maximum(towards[factor] - rest, 0.0, out=rows[factor])
    return np.ascontiguousarray(rows.transpose(2, 0, 1))


def _canonical(gram: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """The widest simplex of the span that was found, where that loses nothing: which of its bases came out was chance."""
    maps = unit_columns(maps)
    if maps.shape[2] > 3:
        return maps
    found, wide = simplex(np.linalg.qr(maps)[0])
    kept = found & (energy(gram, wide) >= energy(gram, maps) * (1 - GAIN))
    return np.where(kept[:, None, None], wide, maps)
