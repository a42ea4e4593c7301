"""Image folders and zips of any content: what can be read is read alike, what cannot is refused by name."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zipfile
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import functional as reference

from generator.context import decoding, images
from generator.context.decoding import SEVERAL, Unreadable, fitted, pixels_of
from generator.context.images import open_images
from generator.errors import ImagesError

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def packed(picture, form="PNG", **options):
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def plain(size=(8, 6), colour=RED, mode="RGB"):
    return Image.new(mode, size, colour)


def photograph(rows=40, cols=56):
    ramp = np.linspace(0, 255, rows * cols).reshape(rows, cols)
    return Image.fromarray(np.stack([ramp, ramp[::-1], ramp[:, ::-1]], -1).astype(np.uint8))


def told(content, **options):
    with pytest.raises(Unreadable) as caught:
        pixels_of(content, **options)
    return str(caught.value)


def huge_png(cols=100_000, rows=100_000):
    """A PNG of 67 bytes whose head speaks of ten thousand million pixels."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", cols, rows, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def write(folder, **files):
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_", ".", 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def zipped(path, entries):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def listed(path, count=None):
    with open_images(path, count) as found:
        return found.names, dict(found.refused)


# -- decoding ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "colour"),
    [
        (packed(plain()), RED),
        (packed(plain(colour=(0, 255, 255, 0), mode="CMYK"), "TIFF"), RED),
        (packed(plain(colour=77, mode="L")), (77, 77, 77)),
        (packed(plain(colour=1, mode="1")), WHITE),
        (packed(plain(colour=40_000, mode="I;16")), (156, 156, 156)),
        (packed(plain(colour=65_535, mode="I"), "TIFF"), WHITE),
        (packed(plain(colour=0.5, mode="F"), "TIFF"), (128, 128, 128)),
        (packed(plain(colour=(255, 0, 0, 0), mode="RGBA")), WHITE),
        (packed(plain(colour=(0, 128), mode="LA")), (127, 127, 127)),
        (packed(plain(colour=BLUE).convert("P")), BLUE),
        (packed(plain(colour=GREEN), "GIF"), GREEN),
        (packed(plain(colour=BLUE), "BMP"), BLUE),
        (packed(plain(colour=GREEN), "WEBP", lossless=True), GREEN),
        (packed(plain(colour=GREEN), "PPM"), GREEN),
    ],
    ids="rgb cmyk grey bits 16-bit 32-bit float clear half-clear palette gif bmp webp ppm".split(),
)
def test_every_sort_of_picture_becomes_eight_bits_of_red_green_and_blue(content, colour):
    pixels, note = pixels_of(content)
    assert pixels.shape == (6, 8, 3)
    assert pixels.dtype == np.uint8
    assert note == ""
    assert np.abs(pixels.astype(int) - colour).max() <= 1


def test_a_cmyk_jpeg_keeps_its_colours():
    pixels, _ = pixels_of(packed(plain((16, 16), RED).convert("CMYK"), "JPEG", quality=95))
    assert np.abs(pixels.astype(int) - RED).max() <= 3


def test_a_transparent_colour_of_a_palette_shows_the_paper():
    picture = plain((2, 1), 0, "P")
    picture.putpalette([*RED, *BLUE])
    picture.putpixel((1, 0), 1)
    pixels, _ = pixels_of(packed(picture, transparency=0))
    assert pixels[0].tolist() == [list(WHITE), list(BLUE)]


def test_a_picture_is_turned_as_its_exif_says():
    picture = plain((20, 10), GREEN)
    picture.paste(RED, (0, 0, 20, 5))
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise
    pixels, _ = pixels_of(packed(picture, "PNG", exif=exif))
    assert pixels.shape == (20, 10, 3)
    assert pixels[0, -1].tolist() == list(RED)
    assert pixels[0, 0].tolist() == list(GREEN)


def test_damaged_exif_leaves_the_picture_as_it_is():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with decoding.quiet_pillow():
            assert pixels_of(packed(plain(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"))[0].shape == (6, 8, 3)


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animated_picture_the_first_frame_is_used_and_that_is_said(form):
    options = {"lossless": True} if form == "WEBP" else {}
    pixels, note = pixels_of(packed(plain(), form, save_all=True, append_images=[plain(colour=BLUE)], **options))
    assert pixels[0, 0].tolist() == list(RED)
    assert note == SEVERAL


def test_a_huge_picture_is_refused_before_it_is_unpacked():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with decoding.quiet_pillow():
            assert "more than 64,000,000" in told(huge_png())
            assert told(huge_png(9_000, 9_000)) == "has 9,000 x 9,000 pixels, more than 64,000,000"
            assert told(huge_png(9_600, 9_600)).startswith("has 9,600 x 9,600 pixels")
    assert told(packed(plain((11, 10))), most=100) == "has 11 x 10 pixels, more than 100"
    assert pixels_of(packed(plain((10, 10))), most=100)[0].shape == (10, 10, 3)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\0", "is not a picture of a known format"),
        (b"a list of names\n" * 20, "is not a picture of a known format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "is not a picture of a known format"),
        (packed(photograph(200, 300), "JPEG")[:-200], "cannot be read: image file is truncated"),
        (packed(photograph())[:300], "cannot be read: "),
        (packed(photograph(), "WEBP")[:100], ""),
        (packed(plain(colour=70_000, mode="I"), "TIFF"), "holds whole numbers beyond 16 bits"),
        (packed(plain(colour=7.0, mode="F"), "TIFF"), "holds floating-point numbers beyond 0 to 1"),
        (packed(plain(colour=float("nan"), mode="F"), "TIFF"), "holds floating-point numbers beyond 0 to 1"),
    ],
    ids="empty byte text postscript jpeg-cut png-cut webp-cut wide-integers large-floats nan".split(),
)
def test_what_is_no_whole_picture_is_refused_with_a_reason(content, reason):
    said = told(content)
    assert said.startswith(reason) and said
    assert "0x" not in said
    assert "\n" not in said


def test_bytes_flipped_at_random_are_read_or_refused_but_never_fatal():
    random = np.random.default_rng(0)
    for form in ("PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"):
        whole = np.frombuffer(packed(photograph(12, 16), form), np.uint8)
        for _ in range(60):
            content = whole.copy()
            content[random.integers(0, len(content), 4)] = random.integers(0, 256, 4)
            with decoding.quiet_pillow(), suppress(Unreadable):
                assert fitted(content.tobytes(), (8, 8))[0].shape == (8, 8, 3)


# -- as a network reads them ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "cols"), [(40, 56), (56, 40), (24, 24), (17, 91), (8, 8)])
@pytest.mark.parametrize(("short", "size"), [(24, 24), (32, 24), (9, 8)])
def test_pictures_are_brought_to_size_as_torchvision_does_it(rows, cols, short, size):
    picture = photograph(rows, cols)
    expected = reference.center_crop(reference.resize(picture, short), size)
    found, _ = fitted(packed(picture), (size, size), short)
    assert np.abs(found.astype(int) - np.asarray(expected)).max() <= 1


def test_a_picture_of_the_right_size_is_left_as_it_is():
    picture = photograph(24, 24)
    assert np.array_equal(fitted(packed(picture), (24, 24))[0], np.asarray(picture))


@pytest.mark.parametrize("size", [(1, 1), (1, 60_000), (60_000, 1), (3, 2)])
def test_points_and_long_strips_fill_the_input_without_being_drawn_out(size):
    assert (fitted(packed(plain(size)), (16, 24))[0] == RED).all()


def test_an_input_that_is_not_square_is_filled_with_no_more_lost_than_must_be():
    picture = plain((40, 40), RED)
    picture.paste(BLUE, (0, 0, 40, 10))
    found, _ = fitted(packed(picture), (10, 20))  # the middle half of the rows
    assert (found[1:] == RED).all()


def test_a_network_of_one_channel_sees_grey():
    found, _ = fitted(packed(plain(colour=GREEN)), (4, 4), grey=True)
    assert (found == 150).all()


def test_a_large_jpeg_is_unpacked_small_and_looks_the_same():
    picture = photograph(640, 800)
    small, _ = fitted(packed(picture, "JPEG", quality=95), (32, 32))
    whole, _ = fitted(packed(picture), (32, 32))
    assert np.abs(small.astype(int) - whole).mean() < 2


# -- folders ----------------------------------------------------------------------------------------------------------------


def test_a_folder_is_listed_with_all_folders_in_it_in_one_order(tmp_path):
    png = packed(plain())
    write(tmp_path, b_png=png, a__z_jpg=packed(plain(), "JPEG"), a__deep__c_png=png)
    assert listed(tmp_path) == (("a/deep/c.png", "a/z.jpg", "b.png"), {})
    with open_images(tmp_path) as found:
        assert found.read("b.png") == png


def test_what_is_no_picture_by_its_place_or_name_is_refused_and_named(tmp_path):
    write(tmp_path, good_png=packed(plain()), words_txt=b"words", nested_zip=b"PK")
    (tmp_path / "bare").write_bytes(packed(plain()))
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    os.mkfifo(tmp_path / "pipe.png")
    names, refused = listed(tmp_path)
    assert names == ("bare", "good.png")
    assert refused == {
        "gone.png": "is a link to nothing",
        "nested.zip": "is not named like a picture",
        "pipe.png": "is not a file",
        "words.txt": "is not named like a picture",
    }


def test_hidden_files_and_folders_are_passed_over(tmp_path):
    png = packed(plain())
    write(tmp_path, good_png=png)
    (tmp_path / ".thumbs").mkdir()
    (tmp_path / ".thumbs" / "a.png").write_bytes(png)
    (tmp_path / ".DS_Store").write_bytes(b"x")
    assert listed(tmp_path) == (("good.png",), {})


def test_links_in_a_loop_are_followed_once(tmp_path):
    write(tmp_path, a__one_png=packed(plain()))
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path / "a")
    assert listed(tmp_path) == (("a/one.png",), {})


def test_a_link_to_itself_is_refused(tmp_path):
    write(tmp_path, good_png=packed(plain()))
    (tmp_path / "me.png").symlink_to(tmp_path / "me.png")
    assert listed(tmp_path)[1] == {"me.png": "is a link to nothing"}


def test_names_that_cannot_stand_on_a_page_are_shown_otherwise_but_read(tmp_path):
    png = packed(plain())
    with open(os.fsencode(tmp_path) + b"/caf\xe9\n.png", "wb") as file:
        file.write(png)
    with open_images(tmp_path) as found:
        (name,) = found.names
        assert name == "caf\ufffd\ufffd.png"
        assert found.read(name) == png


def test_a_file_that_goes_away_or_is_too_large_is_refused_when_it_is_read(tmp_path, monkeypatch):
    write(tmp_path, a_png=packed(plain()), b_png=packed(plain()))
    with open_images(tmp_path) as found:
        (tmp_path / "a.png").unlink()
        with pytest.raises(Unreadable, match=r"^cannot be read: No such file or directory$"):
            found.read("a.png")
        monkeypatch.setattr(images, "MOST_BYTES", 10)
        with pytest.raises(Unreadable, match="more than 10"):
            found.read("b.png")


def test_some_of_the_pictures_are_spread_evenly_over_all(tmp_path):
    write(tmp_path, **{f"n{number:02}_png": packed(plain()) for number in range(10)})
    assert listed(tmp_path, 4)[0] == ("n00.png", "n02.png", "n05.png", "n07.png")
    assert len(listed(tmp_path, 99)[0]) == 10


def test_what_tells_one_lot_of_pictures_from_another_changes_with_any_of_them(tmp_path):
    def identity(count=None):
        with open_images(tmp_path, count) as found:
            return found.identity

    write(tmp_path, a_png=packed(plain()), b_png=packed(plain()))
    first = identity()
    assert identity() == first
    assert identity(1) != first
    write(tmp_path, b_png=packed(plain((9, 9))))
    assert identity() != first


# -- archives ---------------------------------------------------------------------------------------------------------------


def test_a_zip_is_read_like_a_folder(tmp_path):
    png = packed(plain())
    path = zipped(tmp_path / "p.zip", [("b/c.png", png), ("a.png", png), ("b/", b""), ("__MACOSX/b/._c.png", b"x")])
    assert listed(path) == (("a.png", "b/c.png"), {})
    with open_images(path) as found:
        assert found.read("b/c.png") == png


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_odd_entries_of_a_zip_are_refused_by_name(tmp_path):
    png = packed(plain())
    outside = ["../up.png", "a/../../up.png", "/root.png", "C:/windows.png", "..\\up.png"]
    path = zipped(tmp_path / "p.zip", [(name, png) for name in [*outside, "a.png", "a.png", "b.tsv", "new\nline.png"]])
    names, refused = listed(path)
    assert names == ("a.png", "new\ufffdline.png")
    assert {name for name, reason in refused.items() if reason == images.OUTSIDE} == set(outside)
    assert refused["a.png"] == "has the name of an entry before it"
    assert refused["b.tsv"] == "is not named like a picture"


def test_a_zip_bomb_is_stopped_at_the_limit_whatever_its_head_says(tmp_path, monkeypatch):
    path = zipped(tmp_path / "p.zip", [("a.png", b"")])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.png", bytes(2**20))
        archive.writestr("good.png", packed(plain()))
    monkeypatch.setattr(images, "MOST_BYTES", 1000)
    with open_images(path) as found:
        with pytest.raises(Unreadable, match=r"^has 1,048,576 bytes, more than 1,000$"):
            found.read("bomb.png")
        assert len(found.read("good.png")) < 1000
    lying = bytearray(path.read_bytes())
    central = lying.rindex(b"PK\x01\x02", 0, lying.index(b"good.png", lying.index(b"PK\x01\x02")) - 40)
    lying[central + 24 : central + 28] = struct.pack("<I", 500)  # its size, unpacked, as the archive's end tells it
    path.write_bytes(lying)
    with open_images(path) as found, pytest.raises(Unreadable):
        found.read("bomb.png")


def test_damaged_and_encrypted_entries_are_refused(tmp_path):
    path = zipped(tmp_path / "p.zip", [("a.png", packed(photograph())), ("b.png", packed(plain()))])
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 20] ^= 0xFF
    path.write_bytes(content)
    with open_images(path) as found, pytest.raises(Unreadable, match="Bad CRC-32"):
        found.read("a.png")
    content[content.index(b"PK\x01\x02") + 8] |= 1  # a flag of the first entry in the archive's end
    path.write_bytes(content)
    assert listed(path) == (("b.png",), {"a.png": "is encrypted"})


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06", b"no zip at all", packed(plain())])
def test_what_is_neither_folder_nor_zip_is_a_mistake_of_one_line(tmp_path, content):
    path = tmp_path / "photos.zip"
    path.write_bytes(content)
    with pytest.raises(ImagesError, match=r"photos\.zip: is neither a folder nor a zip that can be read: ") as caught:
        listed(path)
    assert len(caught.value.lines) == 1
    assert caught.value.exit_code == 2


def test_a_path_that_leads_nowhere_names_the_nearest(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(ImagesError, match=r"photo: no such folder or zip; nearest: photos$"):
        listed(tmp_path / "photo")
    with pytest.raises(ImagesError, match=r"no such folder or zip$"):
        listed(tmp_path / "no" / "where")


def test_a_folder_or_zip_without_any_picture_is_a_mistake(tmp_path):
    with pytest.raises(ImagesError, match=r"holds no pictures$"):
        listed(tmp_path)
    write(tmp_path, words_txt=b"")
    with pytest.raises(ImagesError, match=r"holds no pictures; words\.txt: is not named like a picture"):
        listed(tmp_path)
    with pytest.raises(ImagesError, match="holds no pictures"):
        listed(zipped(tmp_path / "empty.zip", []))
