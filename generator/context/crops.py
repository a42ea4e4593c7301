"""What a neuron saw: the part of a picture within its receptive field, as a small tile; where tiles are kept."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from threading import Lock

import numpy as np
from PIL import Image

from generator.context.receptive import Reach
from generator.sites import Site

Pair = tuple[int, int]


def windows(parts: Sequence[tuple[int, Reach | None]], positions: np.ndarray, size: Pair, cols: int) -> np.ndarray:
    """What each position sees of an image, int32 `[unit, rank, edge]`: first row, first col, rows, cols; beyond the border too.

    Along an axis on which the whole image may be seen, that is the image.

    Args:
        parts: (how many units, their reach), in order.
        positions: int32 `[unit, rank]`: row * cols + col of the map; below zero for none.
        size: rows, cols of the image.
        cols: of the map.
    """
    found = np.zeros((*positions.shape, 4), np.int32)
    start = 0
    for count, reach in parts:
        here = slice(start, start + count)
        place = np.stack(np.divmod(np.maximum(positions[here], 0), cols), -1)  # [unit, rank, (row, col)]
        for axis in (0, 1):
            whole = reach is None or reach.size[axis] >= size[axis]
            first = 0 if reach is None or whole else reach.start[axis] + reach.stride[axis] * place[..., axis]
            found[here, :, axis] = first
            found[here, :, 2 + axis] = size[axis] if reach is None or whole else reach.size[axis]
        start += count
    return found


def tile_size(found: np.ndarray, side: int) -> Pair:
    """Rows and cols of the tiles of a layer with such windows `[unit, rank, edge]`: the largest window, no side over `side`."""
    rows, cols = (int(found[..., edge].max(initial=1)) for edge in (2, 3))
    scale = min(1.0, side / max(rows, cols))
    return max(1, round(rows * scale)), max(1, round(cols * scale))


def tile(picture: np.ndarray, window: Sequence[int], size: Pair, ground: Sequence[int]) -> np.ndarray:
    """A window of a picture uint8 `[row, col, RGB]` as a tile of `size`; what lies beyond the border is `ground`."""
    row, col, rows, cols = window
    cut = np.empty((rows, cols, 3), np.uint8)
    cut[:] = ground
    top, left = max(row, 0), max(col, 0)
    inside = picture[top : max(row + rows, 0), left : max(col + cols, 0)]
    cut[top - row : top - row + len(inside), left - col : left - col + inside.shape[1]] = inside
    if (rows, cols) == size:
        return cut
    return np.array(Image.fromarray(cut).resize((size[1], size[0]), Image.Resampling.LANCZOS))


def clipped(found: np.ndarray, size: Pair) -> np.ndarray:
    """Windows `[unit, rank, edge]` as far as they lie in an image of `size`."""
    first = np.clip(found[..., :2], 0, size)
    last = np.clip(found[..., :2] + found[..., 2:], 0, size)
    return np.concatenate([first, last - first], -1).astype(np.int32)


def map_cols(site: Site) -> int:
    """Columns of a layer's map; 1 without one."""
    rest = [size for axis, size in enumerate(site.shape) if axis != site.axis]
    return rest[1] if rest else 1


class Tiles:
    """Room for the tiles of several layers, zero until they are put there; in memory, or in a file, which takes none.

    A file gets its name when it is whole. Tiles may be put by several threads.
    """

    def __init__(self, shapes: Sequence[tuple[int, ...]], path: Path | None) -> None:
        """Make room for `[unit, rank, row, col, RGB]` of each layer."""
        self.shapes = [tuple(int(size) for size in shape) for shape in shapes]
        self.starts = [0, *accumulate(math.prod(shape) for shape in self.shapes)]
        self.path = path if self.starts[-1] else None  # an empty file cannot be mapped
        self.turn = Lock()
        if self.path is None:
            self.held = np.zeros(self.starts[-1], np.uint8)
        else:
            self.waiting = self.path.with_name(f"{self.path.name}.{os.getpid()}.part")
            self.file = open(self.waiting, "wb", buffering=0)  # noqa: SIM115 - closed on exit
            self.file.truncate(self.starts[-1])

    def __enter__(self) -> Tiles:
        """Take the room."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing half done behind."""
        if self.path is not None:
            self.file.close()
            self.waiting.unlink(missing_ok=True)

    def put(self, layer: int, unit: int, rank: int, cut: np.ndarray) -> None:
        """One tile, in its place."""
        start = self.starts[layer] + (unit * self.shapes[layer][1] + rank) * cut.size
        if self.path is None:
            self.held[start : start + cut.size] = cut.ravel()
            return
        with self.turn:
            self.file.seek(start)
            self.file.write(cut.tobytes())

    def finished(self) -> list[np.ndarray]:
        """The tiles of every layer; of a file they are mapped, read-only."""
        if self.path is not None:
            self.file.close()
            os.replace(self.waiting, self.path)
            self.held = np.memmap(self.path, np.uint8, "r")
        ends = zip(self.starts, self.starts[1:], self.shapes, strict=False)
        return [self.held[start:stop].reshape(shape) for start, stop, shape in ends]
