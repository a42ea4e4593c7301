"""Figures drawn by hand, in SVG, linked to an atlas: an element whose id is the address of a neuron becomes a link to its page.

As the figures of Distill's "Visualizing Weights" were linked, where ids such as `mixed3b_379` name a neuron.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes
from xml.sax.saxutils import quoteattr

from generator.errors import nearest
from generator.taking.published import Pages, Published
from generator.taking.svg import Edit, Element, FigureError, edited, elements

SMALL = 64  # pixels either way: pictures up to this are tiles of a few weights, and their pixels stay pixels
LARGE = 4096  # bytes of a picture's file: those above are moved where that is asked for
TYPES = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp", "image/svg+xml": "svg"}
DRAWN_ELSEWHERE = frozenset(  # what stands in these is not drawn where it stands, or is no drawing
    "defs symbol clipPath mask pattern marker filter linearGradient radialGradient "
    "style script title desc metadata foreignObject".split()
)
_ADDRESS = re.compile(r"(.+)[_:](\d+)")
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{2,4})_")  # how Illustrator writes what it thinks an id cannot hold
# What is added to the ids of copies: by Illustrator (twice), Inkscape, Sketch and Figma.
_SUFFIXES = (r"_\d+_$", r"_+$", r"(-\d+)+$", r"[ -]copy([ -]\d+)*$", r"_\d+$")
_RENDERING = re.compile(rb"image-rendering\s*:\s*[^;\"']*")
_DATA = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w=.+-]+)*),(.*)", re.DOTALL)


@dataclass(frozen=True)
class Linked:
    """A linked figure, the pictures that were moved out of it, and what was done."""

    content: bytes
    moved: dict[str, bytes]  # name of a file: what is in it
    links: int
    already: int  # elements with an address that stand in a link of the figure's own
    renamed: int  # ids that stood twice
    crisp: int  # pictures whose pixels are now drawn as pixels
    layers: int = 0  # elements whose id is the address of a layer alone

    def __str__(self) -> str:
        said = [f"{self.links} linked"]
        said += [f"{self.already} in a link already"] if self.already else []
        said += [f"{self.renamed} ids made unique"] if self.renamed else []
        said += [f"{self.crisp} small pictures set to pixels"] if self.crisp else []
        said += [f"{len(self.moved)} pictures moved"] if self.moved else []
        said += [f"{self.layers} of a layer alone (no neuron, as in conv1_7) not linked"] if self.layers else []
        return ", ".join(said)


def link_figure(figure: Path, content: bytes, atlas: Published, output: Path, images: Path | None = None) -> Linked:
    """The figure with links to the pages of `atlas`, as it is to lie at `output`; large pictures go to `images` where given.

    Raises FigureError with a line for each id that looks like an address and is that of no neuron with a page.
    """
    found = elements(content, str(figure))
    targets = dict(_targets(found, atlas.pages, str(figure)))
    linked, already = _chosen(found, targets)
    hrefs = {path: _reference(atlas, path, output) for path in set(linked.values())}
    edits = [edit for at, path in linked.items() for edit in _link(found[at], hrefs[path])]
    unique = list(_unique(found))
    moved: dict[str, bytes] = {}
    pictures = [one for one in found if one.name == "image"]
    crisp = [edit for one in pictures for edit in _crisp(one, content, figure.parent)]
    away = [edit for one in pictures for edit in _moved(one, images, output, moved)]
    whole = edited(content, [*edits, *unique, *crisp, *away])
    named = sum(_is_layer(one.attributes.get("id", ""), atlas.pages) and _is_drawn(one) for one in found)
    return Linked(whole, moved, len(linked), already, len(unique), len(crisp), named)


# -- which elements, and to where ------------------------------------------------------------------------------------------


def _targets(found: list[Element], pages: Pages, file: str) -> Iterator[tuple[int, str]]:
    """Place of each element whose id is an address, and the page; all that only look like addresses are told at once."""
    problems = []
    for at, element in enumerate(found):
        if not element.name or "id" not in element.attributes:
            continue
        try:
            path = page_of(element.attributes["id"], pages)
        except LookupError as error:
            line, column = element.line, element.column
            problems.append(f"{file}:{line}:{column}: id: found '{element.attributes['id']}', {error.args[0]}")
        else:
            if path and _is_drawn(element):
                yield at, path
    if problems:
        raise FigureError(problems)


def page_of(name: str, pages: Pages) -> str:
    """The page of the neuron whose address an id is, whatever an editor has made of it; '' for an id that is no address.

    Raises LookupError with what was expected for one that looks like an address and is that of no neuron with a page.
    """
    readings = _readings(name)
    for reading in readings:
        neurons = list(_neurons(reading, pages))
        if len(neurons) > 1:
            models = [model for model, _ in neurons]
            raise LookupError(f"which is in {len(models)} models, expected '{models[0]}.{reading}' or the like")
        if neurons:
            return neurons[0][1]
    why = next(filter(None, (_miss(reading, pages) for reading in readings)), "")
    if why:
        raise LookupError(why)
    return ""


def _readings(name: str) -> list[str]:
    """What an id may have been before an editor wrote it, itself first."""
    plain = _ESCAPED.sub(lambda sign: chr(int(sign[1], 16)), name)
    return list(dict.fromkeys((name, plain, *(re.sub(suffix, "", plain) for suffix in _SUFFIXES))))


def _is_layer(name: str, pages: Pages) -> bool:
    """Whether an id is the address of a layer, without a neuron."""
    known = {f"{prefix}{layer}" for model, layers in pages.items() for layer in layers for prefix in ("", f"{model}.")}
    readings = _readings(name)
    return any(each in known for each in readings) and not any(any(_neurons(each, pages)) for each in readings)


def _neurons(name: str, pages: Pages) -> Iterator[tuple[str, str]]:
    """The model and the page of every neuron with this address."""
    for model, layers in pages.items():
        for rest in {name, name.removeprefix(f"{model}.")}:
            match = _ADDRESS.fullmatch(rest)
            if match and int(match[2]) in layers.get(match[1], ()):
                yield model, layers[match[1]][int(match[2])]


def _miss(name: str, pages: Pages) -> str:
    """What to say of an id that looks like an address, but is none; '' for others, as drawing programs write `Layer_1`."""
    match = _ADDRESS.fullmatch(name)
    if not match:
        return ""
    known = {
        f"{prefix}{layer}": units
        for model, layers in pages.items()
        for prefix in ("", f"{model}.")
        for layer, units in layers.items()
    }
    if match[1] in known:
        return f"expected a neuron of {match[1]} with a page{_near(match[1], int(match[2]), known[match[1]])}"
    like = nearest(match[1], known) if re.search(r"[\d.]", match[1]) else ""
    return f"expected a layer of the atlas{like}" if like else ""


def _near(layer: str, unit: int, units: Iterable[int]) -> str:
    """`; nearest: mixed3b_478, mixed3b_479` by number."""
    close = sorted(sorted(units, key=lambda one: (abs(one - unit), one))[:2])
    return f"; nearest: {', '.join(f'{layer}_{one}' for one in close)}"


def _is_drawn(element: Element) -> bool:
    """Whether an element is part of the drawing where it stands."""
    return not any(one.name in DRAWN_ELSEWHERE or not one.name for one in (element, *element.around()))


def _chosen(found: list[Element], targets: dict[int, str]) -> tuple[dict[int, str], int]:
    """Of the elements with an address those that get a link, and how many stand in a link already. Links cannot hold links.

    Of elements one in another with one address the outermost counts, with different ones the innermost, which says more.
    """
    place = {id(one): at for at, one in enumerate(found)}
    linked, already = dict(targets), 0
    for at in targets:
        around = list(found[at].around())
        if any(one.name == "a" for one in (found[at], *around)):
            already += linked.pop(at, None) is not None
            continue
        outer = [place[id(one)] for one in around if place[id(one)] in linked]
        if outer and linked[outer[0]] == targets[at]:
            linked.pop(at)
        else:
            for one in outer:
                linked.pop(one)
    return linked, already


def _reference(atlas: Published, path: str, output: Path) -> str:
    """The link from a figure to a page: an address, or the way from the figure's folder to the atlas's."""
    if atlas.is_remote:
        return atlas.place(path)
    page, _, mark = path.partition("#")
    way = quote(Path(os.path.relpath(Path(atlas.where, page).resolve(), output.resolve().parent)).as_posix())
    return f"{way}#{mark}" if mark else way


# -- edits -----------------------------------------------------------------------------------------------------------------


def _link(element: Element, href: str) -> list[Edit]:
    """A link around an element; within it where it is the figure itself."""
    opens = f"<{element.prefix}a href={quoteattr(href)}>".encode("ascii")
    closes = f"</{element.prefix}a>".encode("ascii")
    start, end = (element.start, element.end) if element.parent else (element.inside, element.within)
    return [Edit(start, start, opens), Edit(end, end, closes)]


def _unique(found: list[Element]) -> Iterator[Edit]:
    """A new id for every element whose id stands before it: `name-2`. References keep to the first, as browsers have it."""
    taken = {one.attributes["id"] for one in found if "id" in one.attributes}
    seen: set[str] = set()
    for one in found:
        name = one.attributes.get("id")
        if name is None:
            continue
        if name in seen:
            number = 2
            while f"{name}-{number}" in taken:
                number += 1
            taken.add(f"{name}-{number}")
            end = one.values["id"][1]
            yield Edit(end, end, f"-{number}".encode("ascii"))
        seen.add(name)


def _crisp(element: Element, content: bytes, folder: Path) -> Iterator[Edit]:
    """What makes the pixels of a small picture stay pixels."""
    size = picture_size(_picture(element, folder))
    if not size or max(size) > SMALL:
        return
    style = element.values.get("style")
    within = _RENDERING.search(content, *style) if style else None
    if within:
        place, text = within.span(), b"image-rendering:pixelated"
    elif "image-rendering" in element.values:
        place, text = element.values["image-rendering"], b"pixelated"
    else:
        behind = element.start + 1 + len(element.prefix) + len(element.name)
        place, text = (behind, behind), b' image-rendering="pixelated"'
    if content[slice(*place)] != text:
        yield Edit(*place, text)


def _moved(element: Element, folder: Path | None, output: Path, moved: dict[str, bytes]) -> Iterator[Edit]:
    """The reference to a file in place of a large picture that is written out; the file goes into `moved`."""
    name, href = element.href
    kind, held = data_of(href)
    if folder is None or len(held) <= LARGE or kind not in TYPES:
        return
    file = f"{hashlib.sha256(held).hexdigest()[:16]}.{TYPES[kind]}"
    moved[file] = held
    way = Path(os.path.relpath((folder / file).resolve(), output.resolve().parent)).as_posix()
    yield Edit(*element.values[name], quote(way).encode("ascii"))


# -- pictures --------------------------------------------------------------------------------------------------------------


def _picture(element: Element, folder: Path) -> bytes:
    """The file of a picture, as far as it can be had without a network; b'' where it cannot."""
    href = element.href[1].strip()
    if href.startswith("data:"):
        return data_of(href)[1]
    try:
        return b"" if not href or ":" in href else (folder / unquote_to_bytes(href).decode("utf-8")).read_bytes()
    except (OSError, ValueError):
        return b""


def data_of(uri: str) -> tuple[str, bytes]:
    """The type and the content of a data URI; '' and b'' where it is none."""
    match = _DATA.fullmatch(uri.strip())
    if not match:
        return "", b""
    held = unquote_to_bytes(match[3])
    try:
        return match[1] or "", base64.b64decode(held) if match[2].endswith(";base64") else held
    except binascii.Error:
        return "", b""


def picture_size(held: bytes) -> tuple[int, int] | None:
    """Width and height in pixels of a PNG, GIF or JPEG file from its head; None for anything else."""
    if held.startswith(b"\x89PNG\r\n\x1a\n") and len(held) >= 24:
        width, height = struct.unpack(">II", held[16:24])
        return width, height
    if held.startswith((b"GIF87a", b"GIF89a")) and len(held) >= 10:
        width, height = struct.unpack("<HH", held[6:10])
        return width, height
    return _jpeg_size(held) if held.startswith(b"\xff\xd8") else None


def _jpeg_size(held: bytes) -> tuple[int, int] | None:
    """Width and height of a JPEG file: its frame header comes after segments that say their own length (ITU T.81, annex B)."""
    at = 2
    while at + 9 < len(held) and held[at] == 0xFF:
        marker, length = held[at + 1], int.from_bytes(held[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", held[at + 5 : at + 9])
            return width, height
        at += 2 + length
    return None
