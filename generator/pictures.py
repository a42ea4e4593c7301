"""Arrays to pictures: the declared colours, sprites, and small PNG files whose bytes depend on the pixels alone."""

from __future__ import annotations

import base64
import struct
import zlib
from dataclasses import dataclass
from functools import cache

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
    return pngs(pixels[None])[0]


def pngs(tiles: np.ndarray) -> list[bytes]:
    """Many pictures of one size, uint8 `[tile, row, col, RGB]`, as a PNG file each, as `png` makes them."""
    count, height, width = tiles.shape[:3]
    _check(height, width)
    packed = (tiles.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)).reshape(count, height * width)
    ordered = np.sort(packed, axis=1)
    colours = 1 + np.count_nonzero(ordered[:, 1:] != ordered[:, :-1], axis=1)
    rows = np.zeros((count, height, 1 + 3 * width), np.uint8)
    rows[:, :, 1:] = tiles.reshape(count, height, 3 * width)
    files = []
    for tile, different in enumerate(colours.tolist()):
        body = _deflated(rows[tile].tobytes())
        file = _file(width, height, TRUECOLOUR, b"", body)
        if different <= 256 and _LEAST_INDEXED + 3 * different < len(body):
            file = min(file, _indexed(packed[tile].reshape(height, width)), key=len)
        files.append(file)
    return files


def _indexed(packed: np.ndarray) -> bytes:
    """Pixels `[row, col]`, each a number of three bytes, as a PNG file with a palette."""
    colours, indices = np.unique(packed, return_inverse=True)
    palette = colours.astype(">u4").view(np.uint8).reshape(-1, 4)[:, 1:]
    return indexed_png(indices.reshape(packed.shape).astype(np.uint8), palette)


def indexed_png(indices: np.ndarray, palette: np.ndarray, level: int = 9) -> bytes:
    """Indices uint8 `[row, col]` into a palette uint8 `[colour, RGB]` of at most 256 colours, as a PNG file.

    Colours that are not used are left out. level: of zlib; 6 takes a quarter of the time for two per cent more.
    """
    height, width = indices.shape
    _check(height, width)
    used, rows = np.bincount(indices.ravel(), minlength=len(palette)) > 0, np.zeros((height, width + 1), np.uint8)
    rows[:, 1:] = (np.cumsum(used) - 1).astype(np.uint8)[indices]
    again = 1 + np.flatnonzero((rows[1:] == rows[:-1]).all(1))  # a row like the one above is told as no difference to it
    rows[again] = 0
    rows[again, 0] = UP
    body = _deflated(rows.tobytes(), level=level)
    return _file(width, height, INDEXED, _chunk(b"PLTE", palette[used].tobytes()), body)


SMALL = 1536  # bytes of rows up to which run lengths alone come out as small as a search for repeats, in a quarter of the time


def indexed_rows_png(width: int, height: int, rows: bytes, palette: bytes) -> bytes:
    """The same for rows that each begin with a byte of zero, of a picture with many runs of one colour."""
    body = _deflated(rows, zlib.Z_RLE)
    body = body if len(rows) <= SMALL else min(body, _deflated(rows), key=len)
    return _file(width, height, INDEXED, _chunk(b"PLTE", palette), body)


TRUECOLOUR, INDEXED = 2, 3  # colour types of PNG (W3C, Portable Network Graphics, section 11.2.2)
UP = 2  # the filter that gives each byte of a row less the one above (section 9.2)
_LEAST_INDEXED = 20  # bytes of a palette's chunk without colours, and of the smallest body that zlib makes


def _check(height: int, width: int) -> None:
    """PNG knows no empty pictures."""
    if not height or not width:
        raise ValueError(f"a picture of {height} x {width} pixels has nothing to show")


def _deflated(rows: bytes, strategy: int = zlib.Z_FILTERED, level: int = 9) -> bytes:
    """Rows of samples, each after the byte that names its filter: mostly none, as filters do not pay on tiles this small.

    The window is no larger than it need be: setting one up takes longer than compressing a tile. The strategy is the smallest
    for noise of few levels.
    """
    window = min((len(rows) + _LOOKAHEAD).bit_length(), zlib.MAX_WBITS)
    packer = zlib.compressobj(level, zlib.DEFLATED, window, window - 6, strategy)
    return packer.compress(rows) + packer.flush()


_LOOKAHEAD = 262  # bytes of its window that zlib keeps from being matched (MIN_LOOKAHEAD in deflate.h)


def _file(width: int, height: int, colour_type: int, before: bytes, body: bytes) -> bytes:
    """A PNG of eight bits a sample."""
    return _opening(width, height, colour_type) + before + _chunk(b"IDAT", body) + _END


@cache
def _opening(width: int, height: int, colour_type: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


_END = _chunk(b"IEND", b"")


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
