"""The best span that holds a positive vector, for the neurons whose top singular vectors hold none.

A span of r dimensions has a basis of r non-negative vectors as soon as it holds one vector that is positive everywhere, since
that one may be added to any other (Gillis & Kumar, SIAM J. Matrix Anal. Appl. 36(4), 2015). So the least error of semi-NMF is
that of one positive vector v and r - 1 directions of any sign, and only v has to be searched: given v the others are the top
singular vectors of what is left of the weights at right angles to v. Where the bound is missed the least error is approached
only by a v with zeros, whose maps are all but equal; a logarithmic barrier on the entries of v keeps the span a picture, and
costs about a thousandth of the energy.

Each step takes v to its optimum for given mixes, the others one step of subspace iteration, and goes on a little in the same
direction (O'Donoghue & Candes, Found. Comput. Math. 15, 2015).
"""

from __future__ import annotations

import numpy as np

from generator.analyses.cone import frame

COST = 1e-3  # of the squared weight: how hard the barrier pushes, over all positions together
DIRECTIONS, FIXED = 32, 3  # of the top span: looked at, the same for every neuron; and those from which it starts
TRIED, STEPS = 5, 20  # steps from every start; from the best of them
STRIDE, LONGER, FURTHER, LONGEST = 0.5, 1.1, 0.05, 1.2  # extrapolation: its first length, how it grows, and how far
BETTER = 1e-5  # a seeded start wins only where it reaches this much more
DEPENDENT = 1e-13  # a row of about unit length that has less, squared, once those before it are taken out is none of its own
TINY = 1e-30
BYTES = 1 << 20  # of Gram matrices at a time: small enough to stay in the processor's cache


def positive_span(
    gram: np.ndarray,
    values: np.ndarray,
    vectors: np.ndarray,
    rank: int,
    seed: int = 0,
    seeded: int = 0,
    steps: int = STEPS,
) -> tuple[np.ndarray, np.ndarray]:
    """Spans of r = `rank` dimensions that explain most of each Gram matrix, among those that hold a positive vector.

    gram: float64 [unit, position, position], trace 1; values: its largest eigenvalues [unit, s], ascending; vectors: theirs,
    [unit, position, s], where starts are looked for: s = r, or more with r = 1, at most 3; `seeded` starts are drawn beside the
    fixed ones, and win where they reach more.
    Returns basis: float64 [unit, position, r], orthonormal columns, and inner: [unit, r], such that basis @ inner is positive
    at every position that is read; with r = 1 it may be zero there.
    """
    step = max(1, BYTES // (8 * gram.shape[1] ** 2))
    parts = [slice(first, first + step) for first in range(0, len(gram), step)]
    found = [_searched(gram[part], values[part], vectors[part], rank, seed, seeded, steps) for part in parts]
    inner = np.zeros((len(gram), rank))
    inner[:, 0] = 1.0
    return np.concatenate([*found, np.zeros((0, gram.shape[1], rank))]), inner


def _searched(
    gram: np.ndarray, values: np.ndarray, vectors: np.ndarray, rank: int, seed: int, seeded: int, steps: int
) -> np.ndarray:
    push = _push(gram, rank)
    state = _starts(gram, values, vectors, rank, seed, seeded)
    state, reached = _climbed(gram, state, push, TRIED)
    share = reached.reshape(len(gram), -1)
    share[:, : share.shape[1] - seeded] *= 1 + BETTER
    best = np.arange(len(gram)) * share.shape[1] + np.argmax(share, axis=1)
    state, _ = _climbed(gram, np.ascontiguousarray(state[:, :, best]), push, steps)
    return np.ascontiguousarray(_orthonormal(state).transpose(2, 1, 0))


def _push(gram: np.ndarray, rank: int) -> np.ndarray:
    """The barrier's share of every position, [position, unit]: a picture of one factor needs none."""
    read = np.einsum("upp->pu", gram) > 0
    return np.asarray((rank > 1) * COST * read / np.maximum(read.sum(0), 1))


def _starts(gram: np.ndarray, values: np.ndarray, vectors: np.ndarray, rank: int, seed: int, seeded: int) -> np.ndarray:
    """States to climb from, a positive vector and others at right angles: float64 [r, position, lane]; a unit's starts lie
    side by side.
    """
    # The sign of a singular vector is the solver's whim; its larger side is not.
    frames = (vectors * np.where((vectors**3).sum(1) < 0, -1.0, 1.0)[:, None, :]).transpose(0, 2, 1)
    span, positions = frames.shape[1:]
    fixed = _directions(span)
    seen = np.maximum(fixed @ frames, 0.0)
    expected = _cost(gram, values, fixed, seen) if rank > 1 else -_lone_energy(values, frames, seen)
    order = np.argsort(expected, axis=1, kind="stable")[:, :FIXED]
    drawn = np.random.default_rng(seed + 1).standard_normal((seeded, span)) * np.sqrt(np.maximum(values, TINY))[:, None]
    drawn /= np.sqrt((drawn**2).sum(2, keepdims=True))
    axes = np.concatenate([fixed[order], drawn], 1)  # [unit, start, s]
    across = np.moveaxis(frame(np.moveaxis(axes, 2, 0)), (0, 1), (2, 3))
    started = np.concatenate([np.maximum(axes @ frames, 0.0)[:, :, None], (across @ frames[:, None])[:, :, : rank - 1]], 2)
    return np.ascontiguousarray(started.reshape(-1, rank * positions).T).reshape(rank, positions, -1)


def _directions(rank: int) -> np.ndarray:
    """Unit vectors spread over a sphere of r dimensions: [direction, r]."""
    turn = np.arange(DIRECTIONS) + 0.5
    if rank == 1:
        return np.array([[1.0], [-1.0]])
    if rank == 2:
        return np.stack([np.cos(2 * np.pi * turn / DIRECTIONS), np.sin(2 * np.pi * turn / DIRECTIONS)], 1)
    height, angle = 1 - 2 * turn / DIRECTIONS, np.pi * (1 + 5**0.5) * turn  # a Fibonacci lattice
    flat = np.sqrt(1 - height**2)
    return np.stack([flat * np.cos(angle), flat * np.sin(angle), height], 1)


def _cost(gram: np.ndarray, values: np.ndarray, directions: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """About how much energy it costs to bend the top span to the positive part of each direction: [unit, direction].

    seen: [unit, direction, position], that part. To second order a span that is to hold a vector at angle a to the direction t
    loses a^2 / sum(t^2 / (values - others)).
    """
    others = (1.0 - values.sum(1)) / max(1, gram.shape[1] - values.shape[1])
    gap = np.maximum(values - others[:, None], 1e-6)
    return np.asarray((1.0 - np.einsum("udp,udp->ud", seen, seen)) / ((1.0 / gap) @ (directions**2).T))


def _lone_energy(values: np.ndarray, frames: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """How much of the top span the positive part of each direction explains alone: [unit, direction]."""
    square = np.maximum(np.einsum("udp,udp->ud", seen, seen), TINY)
    return np.asarray(((seen @ frames.transpose(0, 2, 1)) ** 2 * values[:, None]).sum(2) / square)


def _climbed(gram: np.ndarray, state: np.ndarray, push: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """`steps` extrapolated steps of every lane [r, position, lane], and what each reaches, [lane]; where v turns back its
    momentum is dropped.
    """
    push = np.repeat(push, state.shape[2] // push.shape[1], axis=1)
    ahead, stride = state, np.full(state.shape[2], STRIDE)
    for _ in range(steps):
        new = _step(gram, ahead, push)
        change = new - state
        on = _dot(ahead[0] - new[0], change[0]) <= 0
        stride = np.minimum(stride * (0.5 + (LONGER - 0.5) * on) + FURTHER * on, LONGEST)
        change *= stride * on
        change += new
        state, ahead = new, change
    basis = _orthonormal(state)
    caught = _dot(basis.reshape(-1, basis.shape[2]), _read(gram, basis).reshape(-1, basis.shape[2]))
    return state, caught + 2 * _dot(push, np.log(np.maximum(basis[0], TINY)))


def _step(gram: np.ndarray, state: np.ndarray, push: np.ndarray) -> np.ndarray:
    """The first row of every lane at its best for given mixes, the others multiplied by the Gram matrix; all about unit
    length.
    """
    basis = _orthonormal(state)
    new = _read(gram, basis)
    energy = [np.maximum(_dot(row, read), TINY) for row, read in zip(basis, new, strict=True)]
    # v's optimum is the part of what it reads that lies outside of the other directions; the barrier rounds the corner at zero.
    for row in basis[1:]:
        new[0] -= row * _dot(row, new[0])
    for read, carried in zip(new, energy, strict=True):
        read /= carried
    lift = push * (4 / energy[0])
    lift += new[0] * new[0]
    new[0] += np.sqrt(lift, out=lift)
    new[0] *= 0.5
    return new


def _read(gram: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """rows [r, position, lane] times the Gram matrix of their unit."""
    positions, lanes = rows.shape[1:]
    flat = rows.reshape(-1, lanes).T.reshape(len(gram), -1, positions) @ gram
    return np.ascontiguousarray(flat.reshape(lanes, -1).T).reshape(rows.shape)


def _dot(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """[position, lane], [position, lane] -> [lane]"""
    return np.asarray(np.einsum("pl,pl->l", one, two))


def _orthonormal(state: np.ndarray) -> np.ndarray:
    """Rows of about unit length made orthonormal, the first of them first: [r, position, lane]; one that depends on those
    before it becomes zero.
    """
    basis = np.empty_like(state)
    for index, own in enumerate(state):
        for other in basis[:index]:
            own = own - other * _dot(other, own)
        square = _dot(own, own)
        np.multiply(own, (square > DEPENDENT) / np.sqrt(np.maximum(square, TINY)), out=basis[index])
    return basis
