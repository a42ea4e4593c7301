"""Pictures that the user has of neurons: what is found, what is missed, what cannot be read."""

from __future__ import annotations

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from generator.context.given import SIDE, Asked, given_pictures, identity, places_of, remarks, unreadable
from generator.errors import SpecError


def save(path, size=(4, 3), colour=(200, 30, 30), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(options.pop("mode", "RGB"), size, colour).save(path, **options)
    return path


def found(place, units=range(4), address="mixed3a", model="net", neurons=4):
    return given_pictures(places_of(place, model), address, units, neurons)


def test_pictures_are_found_by_layer_and_unit_and_the_rest_is_missed(tmp_path):
    save(tmp_path / "icons" / "mixed3a" / "1.png", (4, 3))
    save(tmp_path / "icons" / "mixed3a" / "3.png", (2, 5), (0, 0, 255))
    given = given_pictures(places_of(tmp_path / "icons/{layer}/{unit}.png"), "mixed3a", [0, 1, 3], 4, "CC0", "A. Nyone")
    assert given.there.tolist() == [False, True, False, True]
    assert given.sizes.tolist() == [[0, 0], [3, 4], [0, 0], [5, 2]]
    assert given.images.shape == (4, 5, 4, 3)
    assert (given.images[1, :3] == (200, 30, 30)).all()
    assert (given.images[3, :, :2] == (0, 0, 255)).all()
    assert not given.images[3, :, 2:].any()
    assert (given.missing, given.unreadable, given.licence, given.credit) == ((0,), (), "CC0", "A. Nyone")


def test_leading_zeros_and_the_model_are_written_out(tmp_path):
    save(tmp_path / "net" / "mixed3a-0002.png")
    assert found(tmp_path / "{model}" / "{layer}-{unit:04}.png").there.tolist() == [False, False, True, False]
    assert found(tmp_path / "{model}" / "{layer}-{unit:04d}.png").missing == (0, 1, 3)


def test_a_layer_without_any_picture_has_none(tmp_path):
    assert found(tmp_path / "{layer}" / "{unit}.png") is None


@pytest.mark.parametrize("ending", [".csv", ".tsv"])
def test_a_table_says_which_file_is_whose(tmp_path, ending):
    save(tmp_path / "a.png")
    gap = "," if ending == ".csv" else "\t"
    rows = [["File", "unit", "note", "layer"], ["a.png", "2", "x", "mixed3a"], [], ["gone.png", "0", "", "mixed3a"]]
    (tmp_path / f"table{ending}").write_text("\ufeff" + "\n".join(gap.join(row) for row in rows))
    given = found(tmp_path / f"table{ending}")
    assert given.there.tolist() == [False, False, True, False]
    assert given.missing == (0, 1, 3)


def test_a_table_may_be_yaml(tmp_path):
    save(tmp_path / "sub" / "a.png")
    (tmp_path / "table.yaml").write_text("mixed3a: {2: sub/a.png}\nother: {0: b.png}\n")
    assert found(tmp_path / "table.yaml").there.tolist() == [False, False, True, False]


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("t.csv", "layer,units,file\n", ":1: found no column 'unit', expected the columns layer, unit and file; nearest: units"),
        ("t.csv", "", ":1: found no column 'layer', expected the columns layer, unit and file"),
        ("t.csv", "layer,unit,file\na,x,b.png\n", ":2: found the unit 'x', expected a whole number"),
        ("t.csv", "layer,unit,file\na,-1,b.png\n", ":2: found the unit '-1', expected a whole number"),
        ("t.csv", "layer,unit,file\na,1\n", ":2: found no file, expected a layer, a unit and a file"),
        ("t.csv", "layer,unit,file\na,1,b.png\na,01,c.png\n", ":3: found this neuron twice"),
        ("t.tsv", "layer,unit,file\n", ":1: found no column 'layer', expected the columns layer, unit and file; nearest: layer,unit,file"),
        ("t.yaml", "a: [b.png]\n", ":1:4: a: found a list, expected files by layer and unit: `mixed3b: {379: icons/curve.png}`"),
        ("t.yaml", "a: {x: b.png}\n", ":1:5: a.x: found the unit 'x', expected a whole number"),
        ("t.yaml", "a: {1: 7}\n", ":1:5: a['1']: found no file, expected a layer, a unit and a file"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_understood_is_told_in_one_line(tmp_path, name, text, line):
    (tmp_path / name).write_text(text)
    with pytest.raises(SpecError) as caught:
        places_of(tmp_path / name)
    assert caught.value.lines == (f"{tmp_path / name}{line}",)


def test_a_table_that_is_not_text_is_told_in_one_line(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"layer,unit,file\n\xff")
    with pytest.raises(SpecError, match="not UTF-8"):
        places_of(tmp_path / "t.csv")
    with pytest.raises(SpecError, match="cannot be read"):
        places_of(tmp_path / "none.csv")


def test_large_pictures_are_made_smaller_and_keep_their_shape(tmp_path):
    save(tmp_path / "0.png", (1000, 500))
    save(tmp_path / "1.png", (1, 3000))
    given = found(tmp_path / "{unit}.png")
    assert given.sizes[:2].tolist() == [[SIDE // 2, SIDE], [SIDE, 1]]
    assert (given.images[0, : SIDE // 2] == (200, 30, 30)).all()


@pytest.mark.parametrize(
    ("mode", "colour", "ending", "seen"),
    [
        ("L", 90, "png", (90, 90, 90)),
        ("I;16", 90 * 257, "png", (90, 90, 90)),
        ("RGBA", (255, 0, 0, 0), "png", (255, 255, 255)),
        ("P", 0, "gif", (0, 0, 0)),
        ("CMYK", (0, 255, 255, 0), "jpg", (255, 0, 0)),
        ("1", 1, "bmp", (255, 255, 255)),
        ("RGB", (9, 9, 9), "webp", (9, 9, 9)),
    ],
)
def test_pictures_of_any_sort_are_read(tmp_path, mode, colour, ending, seen):
    save(tmp_path / f"2.{ending}", colour=colour, mode=mode)
    given = found(tmp_path / f"{{unit}}.{ending}")
    assert given.unreadable == ()
    assert np.abs(given.images[2, :3, :4].astype(int) - seen).max() <= 3


def test_pictures_that_cannot_be_read_are_named_and_do_not_stop_the_others(tmp_path, monkeypatch):
    (tmp_path / "0.png").write_bytes(b"")
    (tmp_path / "1.png").write_bytes(b"no picture")
    (tmp_path / "2.png").mkdir()
    save(tmp_path / "3.png", (60, 60))
    content = (tmp_path / "3.png").read_bytes()
    (tmp_path / "4.png").write_bytes(content[: len(content) // 2])
    given = found(tmp_path / "{unit}.png", range(5), neurons=5)
    assert given.there.tolist() == [False, False, False, True, False]
    assert given.missing == ()
    assert [name for name, _ in given.unreadable] == [f"{unit}.png" for unit in (0, 1, 2, 4)]
    reasons = [reason for _, reason in given.unreadable]
    assert reasons[:3] == ["is empty", "is not a picture of a known format", "is not a file"]
    assert all("\n" not in reason for reason in reasons)


def test_a_decompression_bomb_is_refused_by_its_head(tmp_path):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    (tmp_path / "0.png").write_bytes(bomb)
    ((_, reason),) = found(tmp_path / "{unit}.png").unreadable
    assert reason == "has more than 64,000,000 pixels"


def test_an_animation_shows_its_first_frame_and_says_so(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((255, 0, 0), (0, 0, 255))]
    frames[0].save(tmp_path / "1.gif", save_all=True, append_images=frames[1:])
    given = found(tmp_path / "{unit}.gif")
    assert (given.images[1] == (255, 0, 0)).all()
    assert [name for name, _ in given.remarks] == ["1.gif"]


def test_the_identity_follows_the_files(tmp_path):
    places = places_of(tmp_path / "{unit}.png")
    before = identity(places, "a", [0, 1])
    path = save(tmp_path / "1.png")
    there = identity(places, "a", [0, 1])
    os.utime(path, ns=(1, 1))
    assert len({before, there, identity(places, "a", [0, 1]), identity(places, "a", [0])}) == 4
    assert identity(places, "a", [0, 1]) == identity(places, "b", [0, 1])


# -- what is told of them -------------------------------------------------------------------------------------------------

NET = Asked("net", {"mixed3a": 4, "mixed3b": 6}, {"mixed3a": range(4), "mixed3b": range(2)})


def told(place, *models):
    return [line.removeprefix(f"{place}: ").replace(f"{place.parent}/", "") for line in remarks(place, models or (NET,))]


def test_rows_for_neurons_that_there_are_not_are_told_with_their_place(tmp_path):
    save(tmp_path / "a.png")
    rows = ["mixed3a,0,a.png", "mixd3b,0,a.png", "mixed3a,4,a.png", "mixed3b,5,a.png", "else,1,a.png", "mixed3b,6,a.png"]
    (tmp_path / "t.csv").write_text("\n".join(["layer,unit,file", *rows]))
    assert told(tmp_path / "t.csv") == [
        "4 of 6 rows are for no neuron: t.csv:3 (no layer 'mixd3b'; nearest: mixed3b), "
        "t.csv:4 (unit 4, but mixed3a has 4 neurons: 0 to 3), t.csv:6 (no layer 'else') and 1 more"
    ]
    (tmp_path / "t.yaml").write_text("mixed3a:\n  0: a.png\n  7: a.png\n")
    assert told(tmp_path / "t.yaml") == ["1 of 2 rows is for no neuron: t.yaml:3:3 (unit 7, but mixed3a has 4 neurons: 0 to 3)"]


def test_a_table_for_several_models_may_have_rows_for_any_of_them(tmp_path):
    save(tmp_path / "a.png")
    (tmp_path / "t.csv").write_text("layer,unit,file\nmixed3a,9,a.png\nconv,0,a.png\n")
    other = Asked("other", {"mixed3a": 12, "conv": 1}, {})
    assert told(tmp_path / "t.csv", NET, other) == []
    assert len(told(tmp_path / "t.csv")) == 1


def test_files_that_a_table_names_and_that_are_not_there_are_told(tmp_path):
    save(tmp_path / "a.png")
    (tmp_path / "t.csv").write_text("layer,unit,file\nmixed3a,0,a.png\nmixed3a,1,b.png\nmixed3b,0,sub/c.png\n")
    assert told(tmp_path / "t.csv") == ["2 of 3 pictures are not there: t.csv:3 (b.png), t.csv:4 (sub/c.png)"]
    (tmp_path / "t.csv").write_text("layer,unit,file\n")
    assert told(tmp_path / "t.csv") == []


def test_a_path_that_fits_no_file_is_told_with_one_that_it_would_fit(tmp_path):
    place = tmp_path / "icons" / "{model}" / "{layer}-{unit:03}.png"
    assert list(remarks(place, [NET])) == [f"{place}: fits no file; of mixed3a:0 it is {tmp_path}/icons/net/mixed3a-000.png"]
    save(tmp_path / "icons" / "net" / "mixed3a-001.png")
    assert list(remarks(place, [NET])) == [
        f"{place}: 5 of 6 neurons are without a picture: mixed3a:0, mixed3a:2, mixed3a:3 and 2 more"
    ]
    assert list(remarks(place, [NET, NET._replace(name="b", shown={"mixed3b": [1]})])) == [
        f"{place}: 6 of 7 neurons are without a picture: net/mixed3a:0, net/mixed3a:2, net/mixed3a:3 and 3 more"
    ]
    assert list(remarks(place, [NET._replace(shown={"mixed3a": [1]})])) == []
    assert list(remarks(place, [NET._replace(shown={})])) == []


def test_pictures_that_cannot_be_read_are_told_in_one_line_for_all_layers(tmp_path):
    (tmp_path / "mixed3a-0.png").write_bytes(b"")
    (tmp_path / "mixed3b-1.png").write_bytes(b"no picture")
    layers = [found(tmp_path / "{layer}-{unit}.png", address=address) for address in ("mixed3a", "mixed3b", "other")]
    assert unreadable(layers) == (
        "2 given pictures cannot be read: mixed3a-0.png is empty, mixed3b-1.png is not a picture of a known format"
    )
    assert unreadable([None]) == ""


def test_the_files_of_a_place_are_those_that_may_be_pictures(tmp_path):
    for name in ("icons/a/1.png", "icons/b[1]/02.png", "icons/a/x.txt", "else/1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert places_of(tmp_path / "icons/{layer}/{unit}.png").files() == [
        tmp_path / "icons/a/1.png",
        tmp_path / "icons/b[1]/02.png",
    ]
    assert places_of(tmp_path / "icons/b[1]/{layer}{unit}.png").files() == [tmp_path / "icons/b[1]/02.png"]
    (tmp_path / "t.csv").write_text("layer,unit,file\nmixed3a,0,a.png\n")
    assert places_of(tmp_path / "t.csv").files() == [tmp_path / "a.png"]
