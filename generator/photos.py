"""Pictures with many colours, such as feature visualizations, as WebP files: one for a neuron, or a sprite for its layer."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from generator.pictures import GAP, sprite_grid

QUALITY = 80  # of WebP: no artefact is seen beside the picture itself, and a neuron takes two kilobytes


def webp(pixels: np.ndarray) -> bytes:
    """Pixels uint8 `[row, col, RGB]` as a WebP file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=QUALITY, method=4)
    return file.getvalue()


def read_pixels(content: bytes) -> np.ndarray:
    """A picture file, of any format, as pixels uint8 `[row, col, RGB]`. Raises OSError where it cannot be read."""
    with Image.open(io.BytesIO(content)) as picture:
        return np.array(picture.convert("RGB"))


def shrunk(tiles: np.ndarray, side: int) -> np.ndarray:
    """Tiles uint8 `[unit, row, col, RGB]` at `side` pixels either way."""
    small = [np.array(Image.fromarray(tile).resize((side, side), Image.Resampling.LANCZOS)) for tile in tiles]
    return np.stack(small) if small else np.zeros((0, side, side, 3), np.uint8)


def sprite_of(images: np.ndarray) -> bytes:
    """Images uint8 `[unit, row, col, RGB]` as one WebP, laid out as by `pictures.sprite`; gaps continue the tiles' edges."""
    edged = np.pad(images, ((0, 0), (0, GAP), (0, GAP), (0, 0)), mode="edge")
    return webp(_sheet(edged))


def _sheet(tiles: np.ndarray) -> np.ndarray:
    """Tiles `[unit, row, col, RGB]` as one sheet `[row, col, RGB]`, white where there are no more."""
    units, rows, cols, _ = tiles.shape
    across = sprite_grid(units, rows, cols).columns
    full = np.full((-(-units // across) * across, rows, cols, 3), 255, np.uint8)
    full[:units] = tiles
    sheet = full.reshape(-1, across, rows, cols, 3).swapaxes(1, 2)
    return sheet.reshape(-1, across * cols, 3)
