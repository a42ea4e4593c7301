"""Norms as the bins of a histogram: the codes of many rows at a time, and how often each occurs.

Counting by bits: codes of five bits are five planes of bits, and which of them lie in a bin is found 64 at a time. That takes
half the time of sorting or of `bincount`, and with the counts at hand the largest of a row are found without ranking the rest.
"""

from __future__ import annotations

import numpy as np

BINS = 24
PLANES = 5  # bits of a code
PADDING = 31  # the code of what is not there
SLAB = 64  # rows of an array that are turned at once
TINY, HUGE = 1e-30, 1e37  # largest norms of a row between these can be divided by
_ONES = np.array([bin(byte).count("1") for byte in range(256)], np.uint8)


def codes_of(norms: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Which of BINS equal bins from 0 to the row's reach each norm lies in: uint8 [row, col], BINS at the reach itself.

    norms: float32 [row, col], finite, in either order in memory; reach: float32 [row], its largest. The rows of the result are
    padded with PADDING to a multiple of 64.
    """
    if ((reach < TINY) & (reach > 0)).any() or reach.max(initial=0.0) > HUGE:
        norms, reach = norms / np.where(reach > 0, reach, 1)[:, None], (reach > 0).astype(np.float32)
    factor = BINS / np.where(reach > 0, reach, BINS).astype(np.float32)
    rows, cols = norms.shape
    codes = np.empty((rows, -(-cols // 64) * 64), np.uint8)
    codes[:, cols:] = PADDING
    if norms.strides[1] == norms.itemsize:
        np.multiply(norms, factor[:, None], out=codes[:, :cols], casting="unsafe")
    else:  # bytes are turned in half the time of floats, and a slab at a time stays in the processor's cache
        slab = np.empty((SLAB, rows), np.uint8)
        for start in range(0, cols, SLAB):
            own = norms.T[start : start + SLAB]
            np.multiply(own, factor, out=slab[: len(own)], casting="unsafe")
            codes[:, start : start + len(own)] = slab[: len(own)].T
    return codes


def counted(codes: np.ndarray) -> np.ndarray:
    """How often each code occurs in a row, BINS as BINS - 1: int32 [row, bin]; codes as `codes_of` makes them."""
    one, two, three, four, five = (_plane(codes, bit) for bit in range(PLANES))
    pairs = [~(one | two), one & ~two, two & ~one, one & two]
    eights = [*(~three & pair for pair in pairs), *(three & pair for pair in pairs)]
    thirds = [~(four | five), four & ~five, five & ~four]
    found = np.empty((BINS, len(codes)), np.int32)
    for code in range(BINS):
        found[code] = _ones(thirds[code // 8] & eights[code % 8])
    found[BINS - 1] += _ones(four & five & eights[0])
    return found.T


def _plane(codes: np.ndarray, bit: int) -> np.ndarray:
    """One bit of each code: uint64 [word, row], 64 codes a word."""
    return np.ascontiguousarray(np.packbits(codes & np.uint8(1 << bit), axis=1).view(np.uint64).T)


def _ones(words: np.ndarray) -> np.ndarray:
    """How many bits of a row are set in uint64 [word, row]: int [row]."""
    if hasattr(np, "bitwise_count"):  # numpy 2
        return np.asarray(np.bitwise_count(words).sum(0, dtype=np.uint16 if len(words) < 1024 else np.int32))
    return np.asarray(_ONES[words.view(np.uint8).reshape(*words.shape, 8)].sum((0, 2), dtype=np.int32))
