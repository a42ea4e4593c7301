"""The largest of every row of norms, and all that the same look at the row gives: their spread and their 99th percentile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from generator.analyses.bins import BINS, codes_of, counted

QUANTILE = 0.99
ELEMENTS = 1 << 19  # norms looked at at once: small enough for the processor's cache
CROWDED = 4  # a row of which more than so many times the wanted norms lie in the last bins is partitioned instead
_FIRST, _LAST = np.uint32(0x7FFFFFFF), np.uint64(0xFFFFFFFFFFFFFFFF)


@dataclass(frozen=True)
class Ranked:
    """What is known of each row of norms."""

    other: np.ndarray  # int32 [row, rank]: columns of the largest, largest first, ties by smaller one, NaN and Inf before all
    counts: np.ndarray  # int32 [row, bin]: how many lie in each of BINS equal bins up to the reach; zero, NaN and Inf in none
    reach: np.ndarray  # float32 [row]: the largest finite norm
    quantile: np.ndarray  # float32 [row]: the percentile of those above zero, 0 without any, NaN where one is not finite


def ranked(norms: np.ndarray, k: int) -> Ranked:
    """The k largest of each row (fewer where there are fewer), their spread and the percentile.

    norms: float32 [row, col], not negative; the transpose of an array is as good as an array.
    """
    rows, cols = norms.shape
    k = max(0, min(k, cols))
    found = Ranked(
        np.zeros((rows, k), np.int32), np.zeros((rows, BINS), np.int32), np.zeros(rows, np.float32), np.zeros(rows, np.float32)
    )
    for part in blocks(rows, cols) if cols else ():
        whole = _ranked(norms[part], k)
        for into, value in zip(vars(found).values(), vars(whole).values(), strict=True):
            into[part] = value
    return found


def blocks(count: int, size: int) -> Iterator[slice]:
    """Runs of rows of a size that keep temporary arrays small."""
    step = max(1, ELEMENTS // max(1, size))
    return (slice(start, start + step) for start in range(0, count, step))


def _ranked(norms: np.ndarray, k: int) -> Ranked:
    reach = norms.max(1)
    broken = ~np.isfinite(reach)
    drawn = np.where(np.isfinite(norms), norms, np.float32(0)) if broken.any() else norms
    reach = drawn.max(1) if broken.any() else reach
    codes = codes_of(drawn, reach)
    counts = counted(codes)
    cols = norms.shape[1]
    wanted = min(cols, max(k, int((1 - QUANTILE) * (cols - 1)) + 3))
    above = np.cumsum(counts[:, ::-1], axis=1, dtype=np.int32)[:, ::-1]  # in this bin and those behind it
    last = (above >= wanted).sum(1) - 1
    many = above[np.arange(len(above)), last]
    plain = ~broken & (many <= CROWDED * wanted)
    keys = _of_bins(norms, codes, np.where(plain, last, BINS + 1), np.where(plain, many, 0), wanted)
    if not plain.all():
        keys[~plain] = _of_rows(norms[~plain], wanted)
    zeros = np.zeros(len(norms), np.int32) if drawn.min() > 0 else cols - np.count_nonzero(drawn, axis=1)
    counts[:, 0] -= zeros
    quantile = np.where(broken, np.float32(np.nan), _quantile(_values(keys), cols - zeros))
    return Ranked((keys[:, :k] & np.uint64(0xFFFFFFFF)).astype(np.int32), counts, reach, quantile)


def _keys(norms: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """Numbers that sort as norms are ranked, the column in their lower half: uint64 of the same shape."""
    bits = np.ascontiguousarray(norms, np.float32).view(np.uint32)  # of floats that are not negative they sort as these do
    bits = np.where(np.isfinite(norms), bits, _FIRST)
    return ((_FIRST - bits).astype(np.uint64) << np.uint64(32)) | cols.astype(np.uint64)


def _values(keys: np.ndarray) -> np.ndarray:
    """The norms of keys: float32."""
    return (_FIRST - (keys >> np.uint64(32)).astype(np.uint32)).view(np.float32)


def _of_bins(norms: np.ndarray, codes: np.ndarray, last: np.ndarray, many: np.ndarray, wanted: int) -> np.ndarray:
    """Keys of the norms of each row whose codes are not below `last`, in order, as many as wanted: uint64 [row, rank].

    many: int [row], how many these are; where they are fewer than wanted, there are keys that stand for nothing.
    """
    cols = norms.shape[1]
    flat = np.flatnonzero(codes[:, :cols] >= last.astype(np.uint8)[:, None])
    keys = np.full((len(many), max(wanted, int(many.max(initial=0)))), _LAST)
    rows, inside = np.divmod(flat, cols)
    starts = np.cumsum(many) - many
    place = np.arange(len(flat)) + np.repeat(np.arange(len(many)) * keys.shape[1] - starts, many)
    keys.reshape(-1)[place] = _keys(norms[rows, inside], inside)
    keys.sort(axis=1)
    return keys[:, :wanted]


def _of_rows(norms: np.ndarray, wanted: int) -> np.ndarray:
    """Keys of the largest of whole rows, in order: uint64 [row, rank]."""
    keys = _keys(norms, np.broadcast_to(np.arange(norms.shape[1]), norms.shape))
    if wanted < keys.shape[1]:
        keys = np.partition(keys, wanted - 1, axis=1)[:, :wanted]
    keys.sort(axis=1)
    return keys


def _quantile(largest: np.ndarray, count: np.ndarray) -> np.ndarray:
    """The percentile of the `count` norms of each row that are not zero, from its largest, largest first: float32 [row]."""
    rows = np.arange(len(largest))
    at = (1 - QUANTILE) * np.maximum(count - 1, 0)  # ranks from the largest
    low = np.ceil(at).astype(np.int64)
    below, above = (largest[rows, rank].astype(np.float64) for rank in (low, np.maximum(low - 1, 0)))
    return np.where(count > 0, below + (low - at) * (above - below), 0).astype(np.float32)
