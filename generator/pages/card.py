"""The card of a layer: the picture that other sites show beside a link to it (Open Graph), 1200 by 630 pixels."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from generator.pages import wording
from generator.pictures import indexed_png
from generator.records import LayerFacts

WIDTH, HEIGHT, MARGIN, GAP = 1200, 630, 60, 10
TOP = 216  # where the faces begin, under two lines of text
ROWS = 3  # of faces, at most
ROOM, WIDE = HEIGHT - MARGIN - TOP, WIDTH - 2 * MARGIN  # for the faces
FEW = 4  # faces that stand side by side in any case
NAME_SIZE, LINE_SIZE, SMALLEST = 84, 34, 20  # of the type, in pixels
PAPER, INK = np.array([0xFB, 0xFA, 0xF6]), np.array([0x21, 0x1F, 0x1B])
SHADES = 16  # steps from paper to ink, of the type's edges
COLOURS = 256 - SHADES  # left of the palette for the faces
QUIET = 0.72  # how much of the ink the second line takes


def card_line(facts: LayerFacts, model: str) -> str:
    """The second line of a layer's card."""
    return f"{model} · {wording.counted(facts.layer.neurons, 'neuron')}"


def card(tiles: np.ndarray, name: str, line: str) -> bytes:
    """A card as a PNG: the name of a layer, a line, and as many of its faces as fit, taken evenly.

    `tiles` are all its faces, uint8 `[unit, row, col, RGB]`.
    """
    shades = np.zeros((HEIGHT, WIDTH), np.uint8)
    _write(shades, name, 44, NAME_SIZE, 1.0)
    _write(shades, line, 142, LINE_SIZE, QUIET)
    picked, scale, columns = arrangement(tiles)
    indices, colours = _few_colours(picked)
    _lay(shades, indices.repeat(scale, axis=1).repeat(scale, axis=2), columns)
    mixed = np.linspace(PAPER, INK, SHADES).round().astype(np.uint8)
    return indexed_png(shades, np.concatenate([mixed, colours]))


def arrangement(tiles: np.ndarray) -> tuple[np.ndarray, int, int]:
    """The faces that fit, how many times each is enlarged, and how many stand side by side.

    Three full rows of them, or as many as there are faces for; a single row holds them all if four or fewer. Faces that are
    too large for the card even alone lose every so many-th row and column.
    """
    thin = -(-max(tiles.shape[1:3]) // ROOM)
    tiles = tiles[:, ::thin, ::thin]
    count, largest = len(tiles), max(tiles.shape[1:3])
    for lines in range(ROWS, 0, -1):
        scale = ((ROOM + GAP) // lines - GAP) // largest
        if lines == 1 and count <= FEW:
            scale = min(scale, ((WIDE + GAP) // count - GAP) // largest)
        scale = max(scale, 1)
        columns = max((WIDE + GAP) // (tiles.shape[2] * scale + GAP), 1)
        if lines * columns <= count and lines * (tiles.shape[1] * scale + GAP) <= ROOM + GAP:
            break
    shown = np.linspace(0, count - 1, min(count, lines * columns)).round().astype(int)
    return tiles[shown], scale, columns


def _lay(page: np.ndarray, faces: np.ndarray, columns: int) -> None:
    """Put faces `[face, row, col]`, indices into the palette behind the shades, onto the page, row by row."""
    rows, cols = faces.shape[1:]
    for at, face in enumerate(faces):
        top, left = TOP + at // columns * (rows + GAP), MARGIN + at % columns * (cols + GAP)
        page[top : top + rows, left : left + cols] = face + SHADES


def _few_colours(tiles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tiles `[tile, row, col, RGB]` as indices `[tile, row, col]` into a small palette uint8 `[colour, RGB]`."""
    flat = Image.fromarray(np.ascontiguousarray(tiles.reshape(1, -1, 3)))
    reduced = flat.quantize(COLOURS, Image.Quantize.MEDIANCUT, kmeans=2, dither=Image.Dither.NONE)
    indices = np.asarray(reduced, np.uint8).reshape(tiles.shape[:3])
    colours = np.array(reduced.getpalette("RGB"), np.uint8).reshape(-1, 3)
    return indices, colours[: int(indices.max()) + 1]


def _write(page: np.ndarray, text: str, top: int, size: int, strength: float) -> None:
    """Write one line in shades; a long one smaller, and cut short where even that does not fit."""
    while size > SMALLEST and _font(size).getlength(text) > WIDE:
        size -= 2
    while _font(size).getlength(text) > WIDE:
        text = text[:-2] + "…"
    mask = Image.new("L", (WIDTH, HEIGHT))
    ImageDraw.Draw(mask).text((MARGIN, top), text, fill=round(255 * strength), font=_font(size))
    page += np.rint(np.asarray(mask) * ((SHADES - 1) / 255)).astype(np.uint8)


@lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont:
    """The scalable font that comes with Pillow."""
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RuntimeError("Pillow was built without FreeType")
    return font
