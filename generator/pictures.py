"""Arrays to pictures: the declared colours, sprites, and small PNG files whose bytes depend on the pixels alone."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

# ColorBrewer RdBu, five classes (Harrower & Brewer, The Cartographic Journal 40(1), 2003): from inhibition to excitation.
STOPS = np.array([[0x05, 0x71, 0xB0], [0x92, 0xC5, 0xDE], [0xF7, 0xF7, 0xF7], [0xF4, 0xA5, 0x82], [0xCA, 0x00, 0x20]], float)
NOT_A_NUMBER = np.array([0x80, 0x80, 0x80], np.uint8)  # on no point of the scale above


def signed_colours(values: np.ndarray, limit: float | np.ndarray) -> np.ndarray:
    """Signed weights in the declared colours: red excites, blue inhibits, zero is exactly f7f7f7.

    `values` has any shape; `limit` > 0, broadcast against it, is drawn in the full colours at both ends, and what lies
    beyond is drawn as the end. A limit of zero draws zero; NaN is drawn in a grey of its own. Returns uint8 `[..., RGB]`.
    """
    values = np.asarray(values, np.float64)
    reach = np.broadcast_to(np.asarray(limit, np.float64), values.shape)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        part = np.where(reach > 0, values / reach, np.where(np.isnan(values), np.nan, 0.0))
    part = np.where(np.isinf(values), np.sign(values), np.clip(part, -1, 1))
    place = np.nan_to_num(part, nan=0.0) * 2 + 2
    colours = np.stack([np.interp(place, range(5), STOPS[:, channel]) for channel in range(3)], axis=-1)
    pixels = np.rint(colours).astype(np.uint8)
    pixels[np.isnan(part)] = NOT_A_NUMBER
    return pixels


def png(pixels: np.ndarray) -> bytes:
    """Pixels uint8 `[row, col, RGB]` as a PNG file: a palette or true colour, whichever is smaller.

    Written by hand: ten times as fast as an imaging library for tiny tiles, and no field that could vary between builds.
    """
    height, width = _size(pixels)
    plain = _file(width, height, TRUECOLOUR, b"", pixels.reshape(height, width * 3))
    packed = pixels.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    colours, indices = np.unique(packed, return_inverse=True)
    if len(colours) > 256:
        return plain
    palette = colours.astype(">u4").view(np.uint8).reshape(-1, 4)[:, 1:]
    return min(plain, indexed_png(indices.reshape(height, width).astype(np.uint8), palette), key=len)


def indexed_png(indices: np.ndarray, palette: np.ndarray) -> bytes:
    """Indices uint8 `[row, col]` into a palette uint8 `[colour, RGB]` of at most 256 colours, as a PNG file."""
    height, width = _size(indices)
    return _file(width, height, INDEXED, _chunk(b"PLTE", palette.tobytes()), indices)


TRUECOLOUR, INDEXED = 2, 3  # colour types of PNG (W3C, Portable Network Graphics, section 11.2.2)


def _size(pixels: np.ndarray) -> tuple[int, int]:
    """Rows and columns of a picture; PNG knows no empty ones."""
    height, width = pixels.shape[:2]
    if not height or not width:
        raise ValueError(f"a picture of {height} x {width} pixels has nothing to show")
    return height, width


def _file(width: int, height: int, colour_type: int, before: bytes, samples: np.ndarray) -> bytes:
    """A PNG of eight bits a sample, its rows unfiltered: filters do not pay on tiles this small."""
    rows = np.zeros((height, samples.shape[1] + 1), np.uint8)
    rows[:, 1:] = samples
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_FILTERED)  # the smallest for noise of few levels
    body = _chunk(b"IDAT", packer.compress(rows.tobytes()) + packer.flush())
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + before + body + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def data_uri(png_bytes: bytes) -> str:
    """A PNG file as an address that holds it."""
    return "data:image/png;base64," + base64.b64encode(png_bytes).decode("ascii")


@dataclass(frozen=True)
class Grid:
    """Where the tiles of a sprite lie, in its own pixels: `columns` to a row, a gap of one pixel after each."""

    columns: int
    rows: int  # height of one tile
    cols: int  # width of one tile

    @property
    def width(self) -> int:
        """Width of the whole sprite."""
        return self.columns * (self.cols + GAP)

    def place(self, tile: int) -> tuple[int, int]:
        """Column and row, counted in tiles, of one tile."""
        return tile % self.columns, tile // self.columns


GAP = 1  # so that a tile never bleeds into its neighbour at fractional zoom
SPRITE_COLUMNS = 32  # 2,048 tiles of 64 px then stay within 4,160 px either way


def sprite(tiles: np.ndarray) -> tuple[np.ndarray, Grid]:
    """All tiles uint8 `[tile, row, col, RGB]` in one picture `[row, col, RGB]`, and where each of them lies."""
    count, rows, cols, _ = tiles.shape
    grid = sprite_grid(count, rows, cols)
    lines = -(-count // grid.columns)
    sheet = np.zeros((lines * grid.columns, rows + GAP, cols + GAP, 3), np.uint8)
    sheet[:count, :rows, :cols] = tiles
    sheet = sheet.reshape(lines, grid.columns, rows + GAP, cols + GAP, 3).swapaxes(1, 2)
    return np.ascontiguousarray(sheet.reshape(lines * (rows + GAP), grid.width, 3)), grid


def tiles_of(sheet: np.ndarray, count: int) -> np.ndarray:
    """The tiles uint8 `[tile, row, col, RGB]` of a sprite's pixels `[row, col, RGB]`; inverse to `sprite`."""
    columns = sprite_grid(count, 1, 1).columns
    lines = -(-count // columns)
    high, wide = sheet.shape[0] // lines, sheet.shape[1] // columns
    tiles = sheet[: lines * high, : columns * wide].reshape(lines, high, columns, wide, 3).swapaxes(1, 2)
    return np.ascontiguousarray(tiles.reshape(-1, high, wide, 3)[:count, :-GAP, :-GAP])


def sprite_grid(count: int, rows: int, cols: int) -> Grid:
    """How `sprite` arranges `count` tiles of `rows` by `cols` pixels."""
    return Grid(min(max(count, 1), SPRITE_COLUMNS), rows, cols)


SPRITE_BYTES = 19 * 1024  # of a layer's faces: beyond it they are drawn from fewer colours, so that pages stay light
SPRITE_COLOURS = (256, 128, 96, 64, 32)  # the most that fit; of fewer than the last, thumbnails would mislead


def sprite_png(sheet: np.ndarray) -> bytes:
    """A sprite uint8 `[row, col, RGB]` as a PNG file: exact up to SPRITE_BYTES, else of at most 256 colours.

    The colours are found by median cut (Heckbert, Computer Graphics 16(3), 1982), refined by k-means; no dithering, which
    would invent pixels. A neuron's own page does not take its picture from here.
    """
    exact = png(sheet)
    if len(exact) <= SPRITE_BYTES:
        return exact
    drawn = exact
    for colours in SPRITE_COLOURS:
        drawn = min(drawn, _of_few_colours(sheet, colours), key=len)
        if len(drawn) <= SPRITE_BYTES:
            break
    return drawn


def _of_few_colours(pixels: np.ndarray, colours: int) -> bytes:
    """Pixels uint8 `[row, col, RGB]` as a PNG file, each in the nearest of so many colours."""
    indexed = Image.fromarray(pixels).quantize(colours, Image.Quantize.MEDIANCUT, kmeans=1, dither=Image.Dither.NONE)
    palette = np.array(indexed.getpalette(), np.uint8).reshape(-1, 3)
    return indexed_png(np.asarray(indexed), palette)


LEVELS = 32  # steps from zero to the limit in a strip of kernels: about as fine as the eye, coarse enough for a small palette
MANY = 1500  # pixels of a sheet from which on there are half as many
STRIP_PALETTE = np.concatenate([signed_colours(np.arange(-LEVELS, LEVELS + 1) / LEVELS, 1.0), NOT_A_NUMBER[None]])


def kernel_strip(kernels: np.ndarray, limit: float) -> bytes:
    """Signed kernels float `[tile, row, col]`, side by side with a gap of one column of zeros, as one small PNG."""
    return _packed(_strip(kernels, limit))


def kernel_sheet(strips: Sequence[tuple[np.ndarray, float]]) -> tuple[bytes, tuple[int, ...], int]:
    """Several strips of (kernels, limit), one below the other with a gap of one row, as one small PNG.

    Also returns the row each strip begins at, and how many rows there are in all.
    """
    steps = [_strip(kernels, limit) for kernels, limit in strips]
    tops = np.cumsum([0] + [len(one) + GAP for one in steps])
    sheet = np.full((int(tops[-1]) - GAP, max(one.shape[1] for one in steps)), LEVELS, np.uint8)
    for top, one in zip(tops.tolist(), steps, strict=False):
        sheet[top : top + len(one), : one.shape[1]] = one
    sheet = sheet if sheet.size < MANY else _coarser(sheet)
    return _packed(sheet), tuple(tops[:-1].tolist()), len(sheet)


def _strip(kernels: np.ndarray, limit: float) -> np.ndarray:
    """Indices into STRIP_PALETTE, uint8 `[row, col]`, of kernels `[tile, row, col]` side by side."""
    count, rows, cols = kernels.shape
    steps = np.full((rows, count, cols + GAP), LEVELS, np.uint8)
    steps[:, :, :cols] = _levels(kernels, limit).swapaxes(0, 1)
    return steps.reshape(rows, count * (cols + GAP))


def _coarser(steps: np.ndarray) -> np.ndarray:
    """Indices into STRIP_PALETTE with every other step left out; zero, the ends and NaN stay."""
    numbers = steps <= 2 * LEVELS
    return np.where(numbers, 2 * np.rint(steps / 2), steps).astype(np.uint8)


def _packed(steps: np.ndarray) -> bytes:
    """Indices into STRIP_PALETTE as a PNG that holds no colour it does not use."""
    used = np.flatnonzero(np.bincount(steps.ravel(), minlength=len(STRIP_PALETTE)))
    renumbered = np.zeros(len(STRIP_PALETTE), np.uint8)
    renumbered[used] = np.arange(len(used))
    return indexed_png(renumbered[steps], STRIP_PALETTE[used])


def _levels(values: np.ndarray, limit: float) -> np.ndarray:
    """Index of each weight into STRIP_PALETTE, uint8 of the same shape."""
    if not limit > 0:
        return np.where(np.isnan(values), 2 * LEVELS + 1, LEVELS).astype(np.uint8)
    with np.errstate(over="ignore"):
        steps = np.rint(np.clip(values * (LEVELS / limit), -LEVELS, LEVELS)) + LEVELS
    return np.nan_to_num(steps, nan=2 * LEVELS + 1).astype(np.uint8)


def symmetric_limit(values: np.ndarray) -> float:
    """The largest magnitude among the finite weights: the limit, either way, of the colours; 0 where there is none."""
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max()) if finite.size else 0.0


BAR_TILE = 18  # pixels either way: nine bars of two columns, nine rows above the axis and nine below


def bar_tiles(bars: np.ndarray) -> np.ndarray:
    """A little chart for each neuron that has bars in place of a picture: `[unit, bar]` to uint8 `[unit, row, col, RGB]`.

    Its nine first bars, red above the axis and blue below; heights are relative to the longest bar of the neuron.
    """
    half, shown = BAR_TILE // 2, np.nan_to_num(bars[:, : BAR_TILE // 2].astype(np.float64), posinf=0.0, neginf=0.0)
    longest = np.abs(shown).max(axis=1, initial=0.0, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        heights = np.where(longest > 0, np.rint(half * shown / longest), 0.0)
    tiles = np.broadcast_to(STOPS[2].astype(np.uint8), (len(bars), BAR_TILE, BAR_TILE, 3)).copy()
    row = np.arange(BAR_TILE)[None, :, None]
    high = np.repeat(heights, 2, axis=1)[:, None, :]
    tiles[:, :, : high.shape[2]][(row >= half - high) & (row < half)] = STOPS[4].astype(np.uint8)
    tiles[:, :, : high.shape[2]][(row < half - high) & (row >= half)] = STOPS[0].astype(np.uint8)
    return tiles
