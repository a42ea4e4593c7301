"""What is kept of a stream of activations, a few numbers a neuron: the largest, a histogram, and one drawn from each bin.

All of it is the same whatever the order and the batches in which the activations come. The bins of a histogram are as wide as a
power of two and begin at a multiple of it, so that a range that has grown is a matter of adding neighbours, without any error;
each bin keeps the image of the lowest ticket drawn, which is one drawn at random from it (Efraimidis & Spirakis, *Weighted
random sampling with a reservoir*, Information Processing Letters 97(5), 2006, with equal weights).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

NONE = np.uint64(2**64 - 1)  # the ticket of an empty bin
FINEST = 20  # binary digits of the largest magnitude that a bin tells apart at most
LEAST = -200  # exponent of the bins of a neuron that was never anything but zero


@dataclass
class Tally:
    """The state of the count, for `unit`s of all layers one after the other."""

    top_values: np.ndarray  # float32 [unit, rank], largest first; -inf where there are no more
    top_images: np.ndarray  # int32 [unit, rank]; -1 where there are no more
    top_positions: np.ndarray  # int32 [unit, rank]: row * cols + col of the map
    counts: np.ndarray  # int32 [unit, bin]
    tickets: np.ndarray  # uint64 [unit, bin]: what was drawn (upper half) for which image (lower half); NONE if empty
    drawn_values: np.ndarray  # float32 [unit, bin]: activation of the image drawn
    drawn_positions: np.ndarray  # int32 [unit, bin]
    exponent: np.ndarray  # int32 [unit]: bins are 2^exponent wide
    first: np.ndarray  # int64 [unit]: the first bin begins at first * 2^exponent
    low: np.ndarray  # float32 [unit]: smallest activation; inf before there is one
    high: np.ndarray  # float32 [unit]: largest; -inf before there is one
    silent: np.ndarray  # int32 [unit]: images on which it is zero or less
    broken: np.ndarray  # int32 [unit]: images on which it is no finite number


NAMES = tuple(field.name for field in fields(Tally))


def empty(units: int, top: int, bins: int) -> Tally:
    """Before the first image."""
    whole = np.zeros(units, np.int32)
    return Tally(
        np.full((units, top), -np.inf, np.float32),
        np.full((units, top), -1, np.int32),
        np.full((units, top), -1, np.int32),
        np.zeros((units, bins), np.int32),
        np.full((units, bins), NONE),
        np.full((units, bins), np.nan, np.float32),
        np.full((units, bins), -1, np.int32),
        np.full(units, LEAST, np.int32),
        np.zeros(units, np.int64),
        np.full(units, np.inf, np.float32),
        np.full(units, -np.inf, np.float32),
        whole.copy(),
        whole.copy(),
    )


def add(tally: Tally, values: np.ndarray, positions: np.ndarray, images: np.ndarray, seed: int, rectified: np.ndarray) -> None:
    """Count a batch, in place.

    Args:
        tally: as it is so far.
        values: float32 `[image, unit]`, the largest over the map.
        positions: int32 `[image, unit]`, where on the map.
        images: int32 `[image]`, their numbers: each comes once in all.
        seed: of the tickets.
        rectified: bool `[unit]`: whether zero or less means that the neuron is shut, and so no example of what opens it.
    """
    if not len(images):
        return
    finite = np.isfinite(values)
    tally.broken += (~finite).sum(0, dtype=np.int32)
    tally.silent += (finite & (values <= 0)).sum(0, dtype=np.int32)
    shown = np.where(finite & ~(rectified & (values <= 0)), values, np.float32(-np.inf))
    add_largest(tally, shown, positions, images)
    make_room(tally, np.where(finite, values, np.inf).min(0), np.where(finite, values, -np.inf).max(0))
    add_to_bins(tally, values, positions, tickets(images, values.shape[1], seed), finite)


def add_largest(tally: Tally, values: np.ndarray, positions: np.ndarray, images: np.ndarray) -> None:
    """Put those of a batch that are large enough among the largest; of equals the image of the lower number first."""
    if not tally.top_values.shape[1]:
        return
    # Not '>': a batch that comes late may hold a lower number.
    rows = np.flatnonzero((values >= tally.top_values[:, -1]).any(0) & (values > -np.inf).any(0))
    top = tally.top_values.shape[1]
    found = np.concatenate([tally.top_values[rows], values[:, rows].T], 1)
    numbers = np.concatenate([tally.top_images[rows], np.broadcast_to(images, (len(rows), len(images)))], 1)
    places = np.concatenate([tally.top_positions[rows], positions[:, rows].T], 1)
    order = np.lexsort((numbers, -found), axis=1)[:, :top]
    best, number, place = (np.take_along_axis(each, order, 1) for each in (found, numbers, places))
    gone = best == -np.inf
    tally.top_values[rows] = best
    tally.top_images[rows] = np.where(gone, -1, number)
    tally.top_positions[rows] = np.where(gone, -1, place)


def tickets(images: np.ndarray, units: int, seed: int) -> np.ndarray:
    """A number for every image and unit, uint64 `[image, unit]`: drawn at random in the upper half, the image in the lower.

    The finalizer of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014) on (seed, image, unit).
    """
    with np.errstate(over="ignore"):
        mixed = images.astype(np.uint64)[:, None] * np.uint64(2**32) + np.arange(units, dtype=np.uint64)
        mixed = (mixed + np.uint64(seed + 1)) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return (mixed & np.uint64(0xFFFFFFFF00000000)) | images.astype(np.uint64)[:, None]


# -- the histogram --------------------------------------------------------------------------------------------------------


def make_room(tally: Tally, low: np.ndarray, high: np.ndarray) -> None:
    """Make the bins reach from the smallest to the largest activation, those of a batch `[unit]` included."""
    low, high = np.minimum(tally.low, low), np.maximum(tally.high, high)
    rows = np.flatnonzero((low < tally.low) | (high > tally.high))
    tally.low, tally.high = low.astype(np.float32), high.astype(np.float32)
    if not len(rows):
        return
    bins = tally.counts.shape[1]
    exponent = widths(low[rows], high[rows], bins)
    first = np.floor(np.ldexp(low[rows].astype(np.float64), -exponent)).astype(np.int64)
    moved = (exponent != tally.exponent[rows]) | (first != tally.first[rows])
    rows, exponent, first = rows[moved], exponent[moved], first[moved]
    shift = np.minimum(exponent - tally.exponent[rows], 62).astype(np.int64)
    place = ((tally.first[rows, None] + np.arange(bins)) >> shift[:, None]) - first[:, None]
    tally.exponent[rows], tally.first[rows] = exponent, first
    join_bins(tally, rows, place)


def widths(low: np.ndarray, high: np.ndarray, bins: int) -> np.ndarray:
    """The least exponents for which so many bins hold low to high, `[unit]`; never so fine that a bin's number grows large."""
    low, high = low.astype(np.float64), high.astype(np.float64)
    largest = np.maximum(np.abs(low), np.abs(high))
    coarse = np.where(largest > 0, np.frexp(largest)[1] - FINEST, LEAST)
    exponent = np.maximum(coarse, np.where(high > low, np.frexp((high - low) / bins)[1], LEAST)).astype(np.int32)
    spans = np.floor(np.ldexp(high, -exponent)) - np.floor(np.ldexp(low, -exponent))
    return exponent + (spans >= bins).astype(np.int32)


def join_bins(tally: Tally, rows: np.ndarray, place: np.ndarray) -> None:
    """Move the bins of some units to new places `[row, bin]`; those that meet are added, and the lowest ticket stays."""
    filled = tally.counts[rows] > 0
    unit, place = rows[np.nonzero(filled)[0]], place[filled]
    counts, drawn = tally.counts[rows][filled], tally.tickets[rows][filled]
    values, positions = tally.drawn_values[rows][filled], tally.drawn_positions[rows][filled]
    tally.counts[rows], tally.tickets[rows] = 0, NONE
    tally.drawn_values[rows], tally.drawn_positions[rows] = np.nan, -1
    np.add.at(tally.counts, (unit, place), counts)
    keep_lowest(tally, unit, place, drawn, values, positions)


def keep_lowest(
    tally: Tally, unit: np.ndarray, place: np.ndarray, drawn: np.ndarray, values: np.ndarray, positions: np.ndarray
) -> None:
    """Offer tickets to bins; all arrays `[offer]`."""
    np.minimum.at(tally.tickets, (unit, place), drawn)
    won = tally.tickets[unit, place] == drawn
    tally.drawn_values[unit[won], place[won]] = values[won]
    tally.drawn_positions[unit[won], place[won]] = positions[won]


def add_to_bins(tally: Tally, values: np.ndarray, positions: np.ndarray, drawn: np.ndarray, finite: np.ndarray) -> None:
    """Count finite activations `[image, unit]` in bins that have room for them."""
    bins = tally.counts.shape[1]
    with np.errstate(invalid="ignore"):
        scaled = np.floor(np.ldexp(values.astype(np.float64), -tally.exponent))
    place = np.where(finite, scaled - tally.first, 0).astype(np.int64)
    unit = np.broadcast_to(np.arange(values.shape[1]), values.shape)
    flat = (unit * bins + place)[finite]
    tally.counts += np.bincount(flat, minlength=tally.counts.size).reshape(tally.counts.shape).astype(np.int32)
    offered = finite & (drawn < tally.tickets[unit, place])  # most are not, and the rest is dearer
    keep_lowest(tally, unit[offered], place[offered], drawn[offered], values[offered], positions[offered])


def across(tally: Tally, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One image from each of `steps` equal parts of every neuron's range, lowest first.

    The range is that below the largest that are kept, or all of it where there are not so many; none of these is drawn again.

    Returns activations float32, images int32, positions int32, all `[unit, step]`; NaN, -1, -1 for a part without any.
    """
    images = (tally.tickets & np.uint64(0xFFFFFFFF)).astype(np.int64)
    free = tally.tickets != NONE
    for rank in range(tally.top_images.shape[1]):
        free &= images != tally.top_images[:, rank, None]
    low, reach = tally.low[:, None].astype(np.float64), highest(tally)[:, None] - tally.low[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.floor(np.where(reach > 0, (tally.drawn_values - low) / reach, 0.0) * steps)
    found = []
    for step in range(steps):
        here = free & (np.minimum(part, steps - 1) == step)
        best = np.where(here, tally.tickets, NONE).argmin(1)[:, None]
        none = ~np.take_along_axis(here, best, 1)
        each = zip((tally.drawn_values, images, tally.drawn_positions), (np.nan, -1, -1), strict=True)
        found.append([np.where(none, gap, np.take_along_axis(what, best, 1)) for what, gap in each])
    kinds = (np.float32, np.int32, np.int32)
    blank = [np.zeros((len(images), 0))] * 3
    return tuple(  # type: ignore[return-value]
        np.concatenate([blank[k], *(one[k] for one in found)], 1).astype(kind) for k, kind in enumerate(kinds)
    )


def highest(tally: Tally) -> np.ndarray:
    """Where the range of the others ends, float64 `[unit]`: at the smallest of the largest, if there are enough of those."""
    if not tally.top_values.shape[1]:
        return tally.high.astype(np.float64)
    last = tally.top_values[:, -1]
    return np.where(last > -np.inf, last, tally.high).astype(np.float64)
