"""Which neurons of a layer have alike weights: their cosines, and an order in which alike ones stand together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import linkage

DECIMALS = 5  # of a cosine: what float32 sums of any order agree on, so that ties stay ties
COLUMNS = 1 << 22  # elements of the block of weights that one product of matrices reads
ELEMENTS = 1 << 15  # of a temporary array: small enough for the processor's cache
GLANCE = 8  # units that settle for nearly all weights whether they are a multiple of others
SURE = (1e-30, 1e36)  # squares that have not left float32
SAME = 1e-6  # weights that differ by less than this share of their norm are the same but for rounding


@dataclass
class Stream:
    """Weights on one source, and on all that are read through the same weights but for a factor of each input.

    The blocks of a residual stream are: whatever is added to it is read through one convolution, by the scale of its own batch
    norm. Their cosines need one product of matrices in place of one for each.
    """

    weights: np.ndarray  # float32 [unit, weight]
    square: np.ndarray | None = None  # float64 [weight]: the sum of the squares of all factors; None where there is one source


def streams_of(rows: Sequence[np.ndarray]) -> list[Stream]:
    """Weights on several sources, each float32 [unit, weight], with those together that are multiples of others."""
    streams: list[Stream] = []
    for weights in rows:
        for stream in streams:
            factor = _factor(stream.weights, weights)
            if factor is not None:
                stream.square = (1 if stream.square is None else stream.square) + np.square(factor, dtype=np.float64)
                break
        else:
            streams.append(Stream(weights))
    return streams


def _factor(one: np.ndarray, other: np.ndarray) -> np.ndarray | None:
    """By what each column of `one` is multiplied to give `other`, both [unit, weight]: float32 [weight]; None if by nothing."""
    if one.shape != other.shape or not one.size:
        return None
    with np.errstate(all="ignore"):
        product, square = (np.einsum("uw,uw->w", one[:GLANCE], each[:GLANCE]) for each in (other, one))
        factor = product / np.where(square > 0, square, 1)
        parts = [slice(0, GLANCE), *_blocks(len(one), ELEMENTS // one.shape[1])]
        return factor if all(_same(one[part] * factor, other[part]) for part in parts) else None


def _same(guess: np.ndarray, weights: np.ndarray) -> bool:
    """Whether two arrays [unit, weight] are the same for every unit but for rounding; the first is used up."""
    guess -= weights
    rest, whole = (np.einsum("uw,uw->u", each, each) for each in (guess, weights))
    same = (rest <= SAME**2 * whole) & (whole > SURE[0]) & (whole < SURE[1])
    return bool(same.all()) or not guess[~same].any()


def _blocks(count: int, step: int) -> Iterator[slice]:
    return (slice(start, start + max(1, step)) for start in range(0, count, max(1, step)))


def cosines_with(streams: Sequence[Stream], norm: np.ndarray, part: slice) -> np.ndarray:
    """Cosines of some units with all, to DECIMALS: float32 [unit of the part, unit]; NaN where a norm is.

    norm: float32 [unit], of all their weights together.
    """
    found: np.ndarray | None = None
    with np.errstate(all="ignore"):
        for stream in streams:
            for columns in _blocks(stream.weights.shape[1], COLUMNS // max(1, len(norm))):
                block = stream.weights[:, columns] / norm[:, None]
                if stream.square is not None:
                    block *= np.sqrt(stream.square[columns]).astype(np.float32)
                if found is None:
                    found = block[part] @ block.T
                else:
                    found += block[part] @ block.T
        if found is None:
            found = np.zeros((len(norm[part]), len(norm)), np.float32)
        _round(found)
    found[np.isnan(norm[part])] = np.nan
    found[:, np.isnan(norm)] = np.nan
    return found


def _round(cosines: np.ndarray) -> None:
    """To DECIMALS, in place."""
    for part in _blocks(len(cosines), ELEMENTS // max(1, cosines.shape[1])):
        own = cosines[part]
        own *= np.float32(10**DECIMALS)
        np.rint(own, out=own)
        own /= np.float32(10**DECIMALS)
        np.clip(own, -1, 1, out=own)


def in_order(cosines: np.ndarray) -> np.ndarray:
    """The units in an order in which alike ones stand together: int [place].

    cosines: float32 [unit, unit], symmetric, NaN for units without a place, which come last. Average linkage of 1 - cosine;
    where two groups meet they are turned so that their most alike ends touch (Gruvaeus & Wainer, British Journal of
    Mathematical and Statistical Psychology 25, 1972).
    """
    there = ~np.isnan(np.diagonal(cosines))
    units, rest = np.nonzero(there)[0], np.nonzero(~there)[0]
    if len(units) < 2:
        return np.concatenate([units, rest])
    held = cosines if not len(rest) else cosines[np.ix_(units, units)]
    merges = linkage(_distances(held), "average")[:, :2].astype(np.int64)
    return np.concatenate([units[_joined(merges.tolist(), held)], rest])


def _distances(cosines: np.ndarray) -> np.ndarray:
    """1 - cosine of every two units, in the order that SciPy asks for: float64 [pair]."""
    count = len(cosines)
    found = np.empty(count * (count - 1) // 2)
    start = 0
    for unit in range(count - 1):
        stop = start + count - 1 - unit
        np.subtract(1, cosines[unit, unit + 1 :], out=found[start:stop])
        start = stop
    return found


_Turned = tuple[int, bool]  # a run of units, and whether it stands the other way round


def _joined(merges: Sequence[tuple[int, int]], cosines: np.ndarray) -> np.ndarray:
    """The units in the order that the merges of runs give, each turned so that the ends that touch are most alike: int [place].

    Runs 0 .. units - 1 are single units, and each merge makes the next; of a run only its ends are needed.
    """
    count = len(cosines)
    ends = [(unit, unit) for unit in range(count)]
    parts: list[tuple[_Turned, _Turned]] = []
    cosine = cosines.item
    for one, other in merges:
        (first, last), (start, end) = ends[one], ends[other]
        ways = (cosine(last, start), cosine(last, end), cosine(first, start), cosine(first, end))
        way = ways.index(max(ways))
        parts.append(((one, way >= 2), (other, way % 2 == 1)))
        ends.append((last if way >= 2 else first, start if way % 2 else end))
    order = _flat(parts, count)
    return order if order[0] < order[-1] else order[::-1]


def _flat(parts: Sequence[tuple[_Turned, _Turned]], count: int) -> np.ndarray:
    """The units of the last run, from first to last: int [place]."""
    order, left = [], [(count + len(parts) - 1, False)]
    while left:
        run, turned = left.pop()
        if run < count:
            order.append(run)
            continue
        (one, turns), (other, other_turns) = parts[run - count]
        pair = [(one, turns != turned), (other, other_turns != turned)]
        left += pair if turned else pair[::-1]
    return np.array(order)
