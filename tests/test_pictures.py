import io
import zlib

import numpy as np
import pytest
from PIL import Image

from generator.pictures import (
    BAR_TILE,
    GAP,
    NOT_A_NUMBER,
    bar_tiles,
    indexed_png,
    png,
    pngs,
    signed_colours,
    sprite,
    sprite_png,
)
from generator.sheets import kernel_sheets, kernel_strip, symmetric_limit


def read(data):
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return np.asarray(picture.convert("RGB"))


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 3), (16, 5), (40, 33)])
def test_a_png_holds_the_pixels_it_was_made_of(shape):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert np.array_equal(read(png(pixels)), pixels)


def test_a_picture_of_few_colours_gets_a_palette():
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[np.random.default_rng(0).random((64, 64)) > 0.5] = (10, 20, 30)
    assert b"PLTE" in png(pixels)
    assert np.array_equal(read(png(pixels)), pixels)


def test_a_png_is_the_same_bytes_each_time_and_names_no_program():
    pixels = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    assert png(pixels) == png(pixels.copy())
    assert b"tEXt" not in png(pixels)
    assert b"tIME" not in png(pixels)


def test_the_checksums_of_a_png_hold():
    data = png(np.zeros((2, 2, 3), np.uint8))
    at = 8
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        assert zlib.crc32(data[at + 4 : at + 8 + size]) == int.from_bytes(data[at + 8 + size : at + 12 + size], "big")
        at += 12 + size


def test_an_empty_picture_is_refused():
    with pytest.raises(ValueError, match="0 x 3"):
        png(np.zeros((0, 3, 3), np.uint8))


def test_red_excites_blue_inhibits_and_zero_is_the_middle():
    colours = signed_colours(np.array([-1.0, -0.5, 0.0, 0.5, 1.0]), 1.0)
    assert [bytes(colour).hex() for colour in colours] == ["0571b0", "92c5de", "f7f7f7", "f4a582", "ca0020"]


def test_colours_are_symmetric_in_position_on_the_scale():
    values = np.linspace(-2, 2, 41)
    assert np.array_equal(signed_colours(values, 2.0), signed_colours(values * 1e-9, 2e-9))
    assert np.array_equal(signed_colours(np.array([5.0, -5.0]), 1.0), signed_colours(np.array([1.0, -1.0]), 1.0))


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan")])
def test_without_a_limit_everything_is_drawn_as_zero(limit):
    assert (signed_colours(np.array([-3.0, 0.0, 3.0]), limit) == 0xF7).all()


def test_what_is_not_a_number_has_a_grey_of_its_own():
    colours = signed_colours(np.array([np.nan, np.inf, -np.inf]), 1.0)
    assert colours[0].tolist() == NOT_A_NUMBER.tolist()
    assert [bytes(colour).hex() for colour in colours[1:]] == ["ca0020", "0571b0"]
    scale = signed_colours(np.linspace(-1, 1, 2001), 1.0)
    assert not (scale == NOT_A_NUMBER).all(axis=1).any()


def test_limits_may_differ_by_tile():
    values = np.ones((2, 3, 3))
    colours = signed_colours(values, np.array([1.0, 2.0])[:, None, None])
    assert bytes(colours[0, 0, 0]).hex() == "ca0020"
    assert bytes(colours[1, 0, 0]).hex() == "f4a582"


def test_a_sprite_holds_every_tile_at_its_place_with_a_gap():
    tiles = np.random.default_rng(0).integers(1, 256, (70, 3, 5, 3), dtype=np.uint8)
    sheet, grid = sprite(tiles)
    assert sheet.shape == (3 * (3 + GAP), grid.width, 3)
    for tile in range(70):
        column, line = grid.place(tile)
        top, left = line * (3 + GAP), column * (5 + GAP)
        assert np.array_equal(sheet[top : top + 3, left : left + 5], tiles[tile])
    assert not sheet[3::4].any()


def test_a_strip_shows_kernels_in_the_declared_colours():
    kernels = np.random.default_rng(0).standard_normal((9, 5, 3))
    limit = symmetric_limit(kernels)
    strip = read(kernel_strip(kernels, limit)).reshape(5, 9, 3 + GAP, 3).swapaxes(0, 1)
    assert np.abs(strip[:, :, :3].astype(int) - signed_colours(kernels, limit)).max() <= 141 / 32 + 1
    assert (strip[:, :, 3] == 0xF7).all()


def test_zero_in_a_strip_is_exactly_the_middle_and_nan_is_grey():
    kernels = np.array([0.0, np.nan, 1.0, -np.inf]).reshape(4, 1, 1)
    strip = read(kernel_strip(kernels, 1.0))[0, ::2]
    assert [bytes(colour).hex() for colour in strip] == ["f7f7f7", "808080", "ca0020", "0571b0"]
    assert (read(kernel_strip(np.zeros((3, 2, 2)), 0.0)) == 0xF7).all()


def test_the_limit_is_the_largest_finite_magnitude():
    assert symmetric_limit(np.array([1.0, -3.0, np.nan, np.inf])) == 3.0
    assert symmetric_limit(np.array([np.nan])) == 0.0
    assert symmetric_limit(np.zeros((0, 3, 3))) == 0.0


def test_bars_go_up_in_red_and_down_in_blue():
    tile = bar_tiles(np.array([[2.0, -1.0]]))[0]
    assert bytes(tile[0, 0]).hex() == "ca0020"
    assert bytes(tile[BAR_TILE // 2, 0]).hex() == "f7f7f7"
    assert bytes(tile[BAR_TILE // 2 + 3, 2]).hex() == "0571b0"
    assert bytes(tile[BAR_TILE // 2 + 4, 2]).hex() == "f7f7f7"


@pytest.mark.parametrize("bars", [np.zeros((2, 3)), np.zeros((2, 0)), np.full((2, 3), np.nan)])
def test_bars_of_nothing_are_blank(bars):
    assert (bar_tiles(bars) == 0xF7).all()


def sheet_of(strips, counts=None):
    """The sheet of one neuron from (kernels, limit) of each of its tables."""
    tables, limits = [kernels[None] for kernels, _ in strips], [np.array([limit]) for _, limit in strips]
    return kernel_sheets(tables, limits, np.array([counts or [len(kernels) for kernels, _ in strips]]))[0]


def some_strips():
    random = np.random.default_rng(0)
    return [(random.standard_normal((count, rows, cols)), 2.0) for count, rows, cols in ((4, 3, 3), (9, 1, 1), (2, 5, 2))]


def test_strips_of_several_tables_lie_one_below_the_other():
    strips = some_strips()
    data, tops, height = sheet_of(strips)
    assert (tops, height) == ((0, 4, 6), 11)
    sheet = read(data)
    assert sheet.shape[:2] == (height, 18)
    for (kernels, limit), top in zip(strips, tops, strict=True):
        strip = read(kernel_strip(kernels, limit))
        assert np.array_equal(sheet[top : top + len(strip), : strip.shape[1]], strip)
    assert (sheet[[3, 5]] == 0xF7).all()


def test_kernels_that_are_not_shown_take_no_room_in_a_sheet():
    (first, limit), *_, last = some_strips()
    assert sheet_of([(first, limit), *some_strips()[1:]], [3, 0, 2]) == sheet_of([(first[:3], limit), last])._replace(
        tops=(0, 4, 4)
    )
    assert sheet_of(some_strips(), [0, 0, 0]) == (b"", (), 0)


def test_sheets_of_many_neurons_are_those_of_each():
    random = np.random.default_rng(1)
    tables = [random.standard_normal((6, 4, 3, 3)).astype(np.float32), random.standard_normal((6, 2, 1, 1)).astype(np.float32)]
    limits = [np.array([1.0, 0.0, 2.0, 1e-44, 3.0, np.inf]), np.full(6, 0.5)]
    counts = np.array([[4, 2], [4, 2], [3, 2], [4, 2], [0, 2], [4, 0]])
    for neuron, found in enumerate(kernel_sheets(tables, limits, counts)):
        strips = [(table[neuron], float(limit[neuron])) for table, limit in zip(tables, limits, strict=True)]
        assert found == sheet_of(strips, counts[neuron].tolist())


def test_a_sheet_of_many_weights_is_coarser_and_keeps_zero_the_ends_and_nan():
    kernels = np.linspace(-1, 1, 1601).reshape(1, 1, 1601)
    kernels[0, 0, 7] = np.nan
    row = read(sheet_of([(kernels, 1.0)]).png)[0]
    assert [bytes(row[at]).hex() for at in (0, 7, 800, 1600)] == ["0571b0", "808080", "f7f7f7", "ca0020"]
    assert len(np.unique(row, axis=0)) == 33 + 1


def test_pictures_made_together_are_those_made_alone():
    tiles = np.random.default_rng(0).integers(0, 256, (5, 9, 9, 3), dtype=np.uint8)
    tiles[1], tiles[2], tiles[3, ::2] = 7, tiles[2] & 64, 0
    files = pngs(tiles)
    assert files == [png(tile) for tile in tiles]
    for tile, file in zip(tiles, files, strict=True):
        assert np.array_equal(read(file), tile)


def test_rows_that_repeat_and_colours_not_used_cost_nothing():
    indices = np.random.default_rng(0).integers(0, 30, (20, 60), dtype=np.uint8).repeat(8, 0)
    palette = np.random.default_rng(1).integers(0, 256, (256, 3), dtype=np.uint8)
    file = indexed_png(indices, palette)
    assert np.array_equal(read(file), palette[indices])
    assert len(file) < len(indexed_png(indices[::8], palette)) + 100


def test_a_sheet_of_large_numbers_of_tiles_is_light_and_near():
    tiles = np.random.default_rng(0).integers(0, 256, (2048, 3, 3, 3), dtype=np.uint8)
    sheet, _ = sprite(tiles)
    drawn = read(sprite_png(sheet))
    assert len(sprite_png(sheet)) <= 19 * 1024
    assert np.abs(drawn.astype(int) - sheet).mean() < 16  # noise, the worst there is
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) <= 256


def test_a_sprite_that_is_light_enough_is_exact():
    sheet, _ = sprite(np.random.default_rng(0).integers(0, 256, (500, 3, 3, 3), dtype=np.uint8))
    assert np.array_equal(read(sprite_png(sheet)), sheet)


def test_a_large_sprite_of_few_colours_is_exact():
    sheet, _ = sprite(np.random.default_rng(0).choice([0, 90, 255], (3000, 9, 9, 1)).astype(np.uint8).repeat(3, 3))
    assert np.array_equal(read(sprite_png(sheet)), sheet)
