"""A neuron's linear receptive field as a picture: what it reads of every pixel, in the picture's own colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from generator.analyses.composing import plain_norms
from generator.analyses.faces import weight_notes
from generator.analyses.gram import INF, NAN
from generator.pictures import STOPS, signed_colours
from generator.records import Pixels, Replacement

VERSION = 1
LARGEST = 64  # pixels either way of a drawn field; a larger one is drawn smaller
FULL = 0.997  # the share of a neuron's weights that are within the colours
GREY, REACH = 128, 127  # zero in an RGB picture, and steps to either end
ZERO = STOPS[2].astype(np.uint8)  # zero in the signed colours

RGB_SCALE = (
    "each neuron at its own contrast: mid-grey is zero, bright excites, dark inhibits; the largest 0.3% are cut at full colour"
)
SIGNED_SCALE = (
    "each neuron at its own limits: white is zero, red excites, blue inhibits; the largest 0.3% are cut at full colour"
)


def can_be_drawn(channels: int) -> bool:
    """Whether a picture of so many channels has colours to show its pixels in."""
    return channels in (1, 3)


def window(kernel: np.ndarray, offset: Sequence[int], picture: Sequence[int]) -> tuple[np.ndarray, tuple[int, int]]:
    """A kernel `[unit, channel, row, col]` that begins at `offset` of a picture of rows x cols, cut to the picture.

    Returns it with the place of its first row and column; of no rows or columns where it lies outside.
    """
    cuts = []
    for axis in (0, 1):
        first = max(0, -offset[axis])
        last = max(first, min(kernel.shape[2 + axis], picture[axis] - offset[axis]))
        cuts.append(slice(first, last))
    place = (max(offset[0], 0), max(offset[1], 0))
    return kernel[:, :, cuts[0], cuts[1]], place


def shrinkage(size: Sequence[int]) -> int:
    """How many pixels either way become one, so that a field of rows x cols is drawn on at most LARGEST."""
    return max(1, -(-max(size) // LARGEST))


def shrunk(kernel: np.ndarray, factor: int) -> np.ndarray:
    """Means over squares of factor x factor, zeros beyond the last row and column."""
    if factor == 1:
        return kernel
    units, channels, rows, cols = kernel.shape
    padded = np.pad(kernel, ((0, 0), (0, 0), (0, -rows % factor), (0, -cols % factor)))
    tall, wide = padded.shape[2] // factor, padded.shape[3] // factor
    return padded.reshape(units, channels, tall, factor, wide, factor).mean((3, 5), dtype=np.float32)


def draw(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Kernels `[unit, channel, row, col]` of one or three channels in colours.

    Returns uint8 `[unit, row, col, RGB]`, float32 `[unit]` the weight at full colour, 0 where all are zero or one is not
    finite, and '' or what is wrong for each unit.
    """
    notes = weight_notes(kernel)
    usable = np.array([note not in (NAN, INF) for note in notes], bool)
    values = np.where(usable[:, None, None, None], kernel, np.float32(0))
    limit = within(np.abs(values).reshape(len(values), -1))
    part = values / np.where(limit > 0, limit, 1.0)[:, None, None, None]
    if kernel.shape[1] == 1:
        return signed_colours(part[:, 0], 1.0), limit, notes
    part = np.clip(np.moveaxis(part, 1, 3), -1, 1)
    return np.rint(GREY + REACH * part).astype(np.uint8), limit, notes


def within(sizes: np.ndarray) -> np.ndarray:
    """What FULL of each unit's values `[unit, value]`, those that are not zero, do not exceed: float32 `[unit]`."""
    ordered = np.sort(sizes, axis=1)
    count = np.count_nonzero(ordered, axis=1)
    if not ordered.shape[1]:
        return np.zeros(len(sizes), np.float32)
    place = ordered.shape[1] - 1 - np.floor((1 - FULL) * count).astype(np.intp)
    return np.take_along_axis(ordered, place[:, None], 1)[:, 0].astype(np.float32)


def pixels_of(
    kernel: np.ndarray,
    size: tuple[int, int],
    place: tuple[int, int],
    stride: tuple[float, float],
    kept: np.ndarray,
    there: np.ndarray,
    absent: str,
    replaced: Sequence[Replacement],
) -> Pixels:
    """The record of one layer.

    Args:
        kernel: float32 `[unit, channel, row, col]`, cut to the picture.
        size: rows, cols of the whole field.
        place: row, col of the picture at which the kernel of the neuron in the middle of its map begins.
        stride: from one neuron of a map to the next, in pixels.
        kept: float32 `[unit]`, from `kept_share`.
        there: bool `[unit]`; `absent` says why it is False.
        absent: one line.
        replaced: what was made linear on the way.
    """
    factor = shrinkage(kernel.shape[2:])
    drawn, limit, notes = draw(shrunk(kernel, factor))
    drawn[~there] = ZERO if kernel.shape[1] == 1 else GREY
    return Pixels(
        kind="signed" if kernel.shape[1] == 1 else "rgb",
        pixels=drawn,
        there=there,
        size=size,
        shown=(kernel.shape[2], kernel.shape[3]),
        place=place,
        stride=stride,
        shrunk=factor,
        limit=limit,
        kept=kept,
        scale=SIGNED_SCALE if kernel.shape[1] == 1 else RGB_SCALE,
        replaced=tuple(replaced),
        notes=tuple(note if here else absent for note, here in zip(notes, there, strict=True)),
    )


def kept_share(kernel: np.ndarray, paths: np.ndarray) -> np.ndarray:
    """||sum of paths|| / sum of ||path||, float32 `[unit]`, 0..1; NaN where no path has any weight, or none is known."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = plain_norms(kernel) / np.where(paths > 0, paths, np.nan)
    return np.minimum(share, 1).astype(np.float32)


def excitation(pixels: Pixels) -> np.ndarray:
    """What excites alone: uint8 `[unit, row, col, RGB]`, black for nothing, each colour at its own strength."""
    if pixels.kind == "signed":
        return _one_side(pixels.pixels, pixels.pixels[..., 0] > pixels.pixels[..., 2])
    above = np.maximum(pixels.pixels, GREY) - np.uint8(GREY)
    return (above * 2 + (above > 0)).astype(np.uint8)


def inhibition(pixels: Pixels) -> np.ndarray:
    """What inhibits alone: uint8 `[unit, row, col, RGB]`, black for nothing, each colour at its own strength."""
    if pixels.kind == "signed":
        return _one_side(pixels.pixels, pixels.pixels[..., 2] > pixels.pixels[..., 0])
    below = np.uint8(GREY) - np.minimum(pixels.pixels, GREY)
    return (below * 2 + (below > 0)).astype(np.uint8)


def _one_side(pixels: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Signed colours where chosen, zero elsewhere."""
    return np.where(chosen[..., None], pixels, ZERO)
