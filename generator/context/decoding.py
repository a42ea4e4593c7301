"""A picture file of any sort as plain pixels, upright, eight bits a colour; or the reason why it cannot be one.

Files come from anywhere, so nothing is taken on trust: the size is read from the head and judged before a pixel is unpacked.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

MOST_PIXELS = 64_000_000  # of one picture: 192 MB unpacked, and below the number from which on Pillow itself objects
RUNS_A_PROGRAM = {"EPS"}  # formats that Pillow hands to another program (Ghostscript)
PAPER = (255, 255, 255)  # what shows through where a picture is transparent
REASON = 80  # letters of a reason at most
SEVERAL = "holds several frames: its first is used"
FRAMED = ("GIF", "PNG", "WEBP", "AVIF", "TIFF", "FLI", "DCX")  # formats whose frames are pictures of their own


class Unreadable(Exception):  # noqa: N818 - a reason, told beside the name of the file
    """Why a file is no picture that can be used."""


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Inside, Pillow's warnings on damaged files are not printed; what is refused is told by name instead.

    For the thread that starts the others: the filters are the process's.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


def pixels_of(content: bytes, most: int = MOST_PIXELS) -> tuple[np.ndarray, str]:
    """A picture file as uint8 `[row, col, RGB]`, and what has to be said of it ('' for nothing). Raises Unreadable."""
    picture, note = open_picture(content, most)
    return np.array(picture), note


def fitted(
    content: bytes, size: tuple[int, int], short: int | None = None, grey: bool = False, most: int = MOST_PIXELS
) -> tuple[np.ndarray, str]:
    """A picture file as a network reads it: its short side brought to `short` pixels, then the centre of it.

    As torchvision's transforms for evaluation, to the same rounding: bilinear, every source pixel counted.

    Args:
        content: of the file.
        size: rows, cols of the result.
        short: pixels of the short side before the cut; None for the least that fills `size`.
        grey: whether the network reads one channel; the three of the result are then alike.
        most: pixels that a file may have.

    Returns:
        uint8 `[row, col, RGB]`, and what has to be said of the picture ('' for nothing).

    Raises:
        Unreadable: the file is no picture that can be used.
    """
    picture, note = open_picture(content, most, 2 * max(*size, short or 0))
    whole = size_before_cut((picture.height, picture.width), size, short)
    picture = cut_of(picture, whole, size)
    if grey:
        picture = picture.convert("L").convert("RGB")
    return np.array(picture), note


def size_before_cut(found: tuple[int, int], size: tuple[int, int], short: int | None) -> tuple[int, int]:
    """Rows and cols of a picture of `found` rows and cols once its short side is right; never less than `size`."""
    rows, cols = found
    shorter = min(rows, cols)
    side = short if short is not None else max(-(-size[axis] * shorter // found[axis]) for axis in (0, 1))
    whole = (int(side * rows / shorter), int(side * cols / shorter))
    return max(whole[0], size[0]), max(whole[1], size[1])


def cut_of(picture: Image.Image, whole: tuple[int, int], size: tuple[int, int]) -> Image.Image:
    """The centre of `size` of a picture brought to `whole` rows and cols; a long strip is never drawn out in full."""
    top, left = (round((whole[axis] - size[axis]) / 2) for axis in (0, 1))
    high, wide = picture.height / whole[0], picture.width / whole[1]
    box = (left * wide, top * high, min((left + size[1]) * wide, picture.width), min((top + size[0]) * high, picture.height))
    if whole == size == (picture.height, picture.width):
        return picture
    return picture.resize((size[1], size[0]), Image.Resampling.BILINEAR, box=box)


def open_picture(content: bytes, most: int = MOST_PIXELS, enough: int | None = None) -> tuple[Image.Image, str]:
    """A picture file as an upright RGB picture, and what has to be said of it.

    enough: pixels of the short side that will do; a JPEG is then unpacked at a fraction of its size. Raises Unreadable.
    """
    if not content:
        raise Unreadable("is empty")
    try:
        with Image.open(io.BytesIO(content), formats=known_formats()) as picture:
            refuse_huge(picture, most)
            note = SEVERAL if has_frames(picture) else ""
            if enough:
                picture.draft(None, (enough, enough))
            picture.load()
            return to_rgb(upright(picture)), note
    except Unreadable:
        raise
    except UnidentifiedImageError:
        raise Unreadable("is not a picture of a known format") from None
    except Image.DecompressionBombError:
        raise Unreadable(f"has more than {most:,} pixels") from None
    except Exception as reason:  # a decoder that meets damaged bytes may raise anything
        raise Unreadable(f"cannot be read: {shortened(reason)}") from None


def known_formats() -> list[str]:
    """Every format that Pillow reads by itself."""
    Image.init()
    return [name for name in Image.ID if name not in RUNS_A_PROGRAM]


def refuse_huge(picture: Image.Image, most: int) -> None:
    """Judge a picture by the size in its head."""
    if picture.width * picture.height > most:
        raise Unreadable(f"has {picture.width:,} x {picture.height:,} pixels, more than {most:,}")


def has_frames(picture: Image.Image) -> bool:
    """Whether there are frames behind the first."""
    try:
        return picture.format in FRAMED and bool(getattr(picture, "is_animated", False))
    except Exception:  # what lies behind the first frame may be damaged; the first is all that is used
        return False


def upright(picture: Image.Image) -> Image.Image:
    """A picture turned as its EXIF says; as it is where that cannot be read."""
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # EXIF that is damaged says nothing of the pixels
        return picture


def to_rgb(picture: Image.Image) -> Image.Image:
    """Any mode to RGB: 16 bits brought to 8, transparency laid on white."""
    if picture.mode.startswith("I"):
        picture = Image.fromarray(eight_bits(np.asarray(picture)))
    elif picture.mode == "F":
        picture = Image.fromarray(from_unit(np.asarray(picture)))
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        seen = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", seen.size, (*PAPER, 255)), seen).convert("RGB")
    return picture.convert("RGB")


def eight_bits(values: np.ndarray) -> np.ndarray:
    """16-bit grey `[row, col]`, however wide its numbers are kept, as uint8. Raises Unreadable beyond 16 bits."""
    if values.min() < 0 or values.max() > 65535:
        raise Unreadable("holds whole numbers beyond 16 bits")
    return np.rint(values / 257).astype(np.uint8)


def from_unit(values: np.ndarray) -> np.ndarray:
    """Grey from 0 to 1 `[row, col]` as uint8. Raises Unreadable for anything else, NaN too."""
    if not (values.min() >= 0 and values.max() <= 1):
        raise Unreadable("holds floating-point numbers beyond 0 to 1")
    return np.rint(values * 255).astype(np.uint8)


def shortened(reason: BaseException) -> str:
    """What an exception says, on one line, without the addresses of objects."""
    said = " ".join(str(reason).split()) or type(reason).__name__
    return re.sub(r"<[^<>]* at 0x[0-9a-f]+>", "the file", said)[:REASON]
