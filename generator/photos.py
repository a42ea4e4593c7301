"""Pictures with many colours, such as feature visualizations, as WebP files: one for a neuron, or a sprite for its layer."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from generator.pictures import GAP, sprite_grid

QUALITY = 80  # of WebP: no artefact is seen beside the picture itself, and a neuron takes two kilobytes
EXACT = 16  # pixels of a tile's longer side below which nothing is lost: WebP shares colours among that many
QUICK = 2  # of 6: how hard to try where there is a picture for every neuron; half the time of 4 for two bytes in a hundred more


def webp(pixels: np.ndarray, effort: int = 4, exact: bool = False, quality: int = QUALITY) -> bytes:
    """Pixels uint8 `[row, col, RGB]` as a WebP file; `exact` loses nothing, and is larger."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=QUALITY if exact else quality, method=effort, lossless=exact)
    return file.getvalue()


def read_pixels(content: bytes) -> np.ndarray:
    """A picture file, of any format, as pixels uint8 `[row, col, RGB]`. Raises OSError where it cannot be read."""
    with Image.open(io.BytesIO(content)) as picture:
        return np.array(picture.convert("RGB"))


def shrunk(tiles: np.ndarray, side: int) -> np.ndarray:
    """Tiles uint8 `[unit, row, col, RGB]` at `side` pixels either way."""
    small = [np.array(Image.fromarray(tile).resize((side, side), Image.Resampling.LANCZOS)) for tile in tiles]
    return np.stack(small) if small else np.zeros((0, side, side, 3), np.uint8)


def sprite_of(images: np.ndarray, effort: int = 4) -> bytes:
    """Images uint8 `[unit, row, col, RGB]` as one WebP, laid out as by `pictures.sprite`; gaps continue the tiles' edges.

    Tiles of only a few pixels are exact: lossy WebP would mix the colours of neighbours.
    """
    return webp(sprite_pixels(images), effort, exact=is_exact(images.shape[1:3]))


def is_exact(size: Sequence[int]) -> bool:
    """Whether nothing is lost of tiles of rows x cols."""
    return max(size) < EXACT


def sprite_pixels(images: np.ndarray) -> np.ndarray:
    """Images uint8 `[unit, row, col, RGB]` as one picture `[row, col, RGB]`, laid out so."""
    return _sheet(np.pad(images, ((0, 0), (0, GAP), (0, GAP), (0, 0)), mode="edge"))


def _sheet(tiles: np.ndarray) -> np.ndarray:
    """Tiles `[unit, row, col, RGB]` as one sheet `[row, col, RGB]`, white where there are no more."""
    units, rows, cols, _ = tiles.shape
    across = sprite_grid(units, rows, cols).columns
    full = np.full((-(-units // across) * across, rows, cols, 3), 255, np.uint8)
    full[:units] = tiles
    sheet = full.reshape(-1, across, rows, cols, 3).swapaxes(1, 2)
    return sheet.reshape(-1, across * cols, 3)
