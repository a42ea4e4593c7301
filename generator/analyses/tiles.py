"""Values to the colours of one picture each."""

from __future__ import annotations

import numpy as np


def level(values: np.ndarray) -> np.ndarray:
    """Each unit's values over its largest magnitude, -1..1; zeros stay zeros. [unit, ...]"""
    peak = np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True, initial=0.0)
    return np.asarray(values / np.where(peak > 0, peak, 1.0))


def nmf_pixels(maps: np.ndarray) -> np.ndarray:
    """Maps [unit, row, col, factor] >= 0 as red, green and blue, the peak of each unit at 255: uint8 [unit, row, col, RGB].

    Raises ValueError for more than three factors: there are no more colours.
    """
    if maps.shape[3] > 3:
        raise ValueError(f"a picture has three colours, not {maps.shape[3]}")
    pixels = np.zeros((*maps.shape[:3], 3), np.uint8)
    pixels[..., : maps.shape[3]] = np.rint(255 * level(maps))
    return pixels
