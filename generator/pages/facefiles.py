"""The files of faces: sprites of a layer for rows and grids; of each neuron a sheet of those of its faces that are photographs.

A sheet holds, from the top, the feature visualization and the given picture side by side, then the dataset examples in a row:
one file and one request for all of them. Where the neurons of a layer stand on one page, sheets are stacked in few files.
Which quality they have is one of few levels: see `facebudget`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

from generator.pages.faces import EXAMPLES, PICTURE, VISUALIZATION, WEIGHTS, Sprite, layer_faces, picture_size, there
from generator.pages.views import LayerView, face_grid, face_tiles
from generator.photos import QUICK, is_exact, sprite_pixels, webp
from generator.records import LayerFacts

FOLDER = "faces"  # of the sheets, beside the pages of the neurons
LIGHT = 19 * 1024  # bytes of a sprite for rows, if that can be had
QUALITIES = (75, 60, 45, 30)  # of such a sprite: the first that makes it light, or the last
MOST, LITTLE = 160, 64  # pixels of a picture on a sheet, and of a further visualization
FEW = 24  # pixels that a tile of a sheet has at least: fewer would mix their colours
SEAM = 4  # pixels between what stands on a sheet
TALL = 12_000  # pixels of stacked sheets, at most: a WebP has 16,383
PAPER = 0xF7


class Level(NamedTuple):
    """How much is kept of the pictures of a layer's faces."""

    sheet: int  # quality of WebP of its sheets
    large: int  # and of its sprites for grids
    field: int  # and of its weights on the pixels, which stand in pages; 0: nothing is lost
    size: float  # pixels of a picture on a sheet, either way, over those that it has at best


# From the best on. Fields are exact as long as can be: their grey says that a weight is zero.
LEVELS = (
    Level(60, 58, 0, 1),
    Level(45, 45, 0, 1),
    Level(45, 45, 90, 1),
    Level(30, 30, 80, 1),
    Level(30, 30, 80, 0.85),
    Level(30, 30, 80, 0.7),
    Level(25, 25, 70, 0.6),
    Level(20, 20, 60, 0.5),
)


class Part(NamedTuple):
    """A place on a sheet, in its pixels; of examples the first, each other one column further on than it is wide."""

    x: int
    y: int
    rows: int
    cols: int


class Plan(NamedTuple):
    """What stands where on the sheets of a layer."""

    width: int
    height: int
    visualization: Part | None
    picture: Part | None
    more: Part | None  # the first of further visualizations, like examples
    examples: Part | None
    stacked: int  # sheets to a file

    def place(self, unit: int, position: int) -> tuple[str, int]:
        """The file of a neuron's sheet, from its page, and the row at which it begins; `position` among those that have one."""
        if self.stacked == 1:
            return f"{FOLDER}/{unit}.webp", 0
        return f"{FOLDER}/{position // self.stacked}.webp", position % self.stacked * (self.height + SEAM)


def sheet_plan(facts: LayerFacts, joined: bool = False, scale: float = 1) -> Plan | None:
    """How the sheets of a layer's neurons are laid out, None where they have none; `joined`: the neurons stand on one page.

    With less `scale` pictures have fewer pixels, and there are as many files.
    """
    sizes = {kind: picture_size(facts, kind) if kind in facts.order else None for kind in (VISUALIZATION, PICTURE, EXAMPLES)}
    if not any(sizes.values()):
        return None
    x = height = 0
    parts: dict[str, Part | None] = {}
    for kind in (VISUALIZATION, PICTURE):
        size = sizes[kind]
        parts[kind] = part = Part(x, 0, *fitted(size, MOST, scale)) if size else None
        x, height = (x + part.cols + SEAM, max(height, part.rows)) if part else (x, height)
    rows, width = [], x - SEAM
    ranks = facts.examples.crops.shape[1] if facts.examples is not None else 0
    for size, count, most in ((sizes[VISUALIZATION], more_count(facts), LITTLE), (sizes[EXAMPLES], ranks, MOST)):
        row = Part(0, height + SEAM if height else 0, *fitted(size, most, scale)) if size and count else None
        rows.append(row)
        width, height = (max(width, count * (row.cols + 1)), row.y + row.rows) if row else (width, height)
    whole = sheet_plan(facts, joined) if scale < 1 else None
    stacked = whole.stacked if whole else max(1, TALL // (height + SEAM)) if joined else 1
    return Plan(width, height, parts[VISUALIZATION], parts[PICTURE], rows[0], rows[1], stacked)


def more_count(facts: LayerFacts) -> int:
    """How many further visualizations each neuron has."""
    return 0 if facts.looks is None or facts.looks.more is None else int(facts.looks.more.shape[1])


def fitted(size: tuple[int, int], most: int, scale: float) -> tuple[int, int]:
    """Rows and cols of a picture on a sheet: a whole multiple of a tiny one, less of a large one; `scale` times that."""
    longest = max(size)
    times = scale * (-(-FEW // longest) if longest < FEW else min(1.0, most / longest))
    return max(1, round(size[0] * times)), max(1, round(size[1] * times))


def with_sheet(facts: LayerFacts) -> np.ndarray:
    """The units that have a page and a sheet, ascending."""
    if sheet_plan(facts) is None:
        return facts.chosen[:0]
    whole = [kind for kind in (VISUALIZATION, EXAMPLES) if kind in facts.order and picture_size(facts, kind)]
    return facts.chosen if whole else facts.chosen[there(facts, PICTURE)[facts.chosen]]


def sheets(facts: LayerFacts, view: LayerView, level: Level) -> Iterator[tuple[str, bytes]]:
    """The sheets of a layer's neurons that have a page, by their place from their model's folder."""
    plan, units = sheet_plan(facts, view.per_layer, level.size), with_sheet(facts).tolist()
    if plan is None:
        return
    for start in range(0, len(units), plan.stacked):
        file, _ = plan.place(units[start], start)
        pages = [sheet(facts, plan, unit) for unit in units[start : start + plan.stacked]]
        yield f"{view.page(units[start]).rpartition('/')[0]}/{file}", webp(_stack(pages), QUICK, quality=level.sheet)


def _stack(pages: list[np.ndarray]) -> np.ndarray:
    """Sheets `[row, col, RGB]` one below the other."""
    if len(pages) == 1:
        return pages[0]
    return np.concatenate([np.pad(page, ((0, SEAM), (0, 0), (0, 0)), constant_values=PAPER) for page in pages])


def count_face_files(facts: LayerFacts, per_layer: bool = False) -> int:
    """How many sprites and sheets there are."""
    plan = sheet_plan(facts, per_layer)
    return len(list(_sprites(facts))) + (-(-len(with_sheet(facts)) // plan.stacked) if plan else 0)


def _sprites(facts: LayerFacts) -> Iterator[tuple[str, Sprite, bool]]:
    """(kind, sprite, whether it is for grids) for each."""
    for face in layer_faces(facts, None):
        yield face.kind, face.small, False
        if face.large != face.small:
            yield face.kind, face.large, True


# -- sprites --------------------------------------------------------------------------------------------------------------


def row_sprites(facts: LayerFacts) -> dict[str, bytes]:
    """The sprites of a layer's faces for rows, in its folder; that of its weights is not among them."""
    return {
        sprite.file: _sprite(tiles(facts, kind, sprite.grid.rows, sprite.grid.cols), 0)
        for kind, sprite, is_large in _sprites(facts)
        if not is_large
    }


def grid_sprites(facts: LayerFacts, level: Level) -> dict[str, bytes]:
    """And those for grids, where these are others."""
    return {
        sprite.file: _sprite(tiles(facts, kind, sprite.grid.rows, sprite.grid.cols), level.large)
        for kind, sprite, is_large in _sprites(facts)
        if is_large
    }


def _sprite(pictures: np.ndarray, quality: int) -> bytes:
    """A sprite: exact where tiles are tiny, else of this quality; 0 stands for the best that keeps one for rows light."""
    page = sprite_pixels(pictures)
    if is_exact(pictures.shape[1:3]):
        return webp(page, exact=True)
    if quality:
        return webp(page, quality=quality)
    made = b""
    for each in QUALITIES:
        made = webp(page, quality=each)
        if len(made) <= LIGHT:
            break
    return made


def tiles(facts: LayerFacts, kind: str, rows: int, cols: int) -> np.ndarray:
    """The pictures of a kind as tiles uint8 `[unit, row, col, RGB]`; where a neuron has none the first face it has."""
    own = there(facts, kind)
    made = np.full((facts.layer.neurons, rows, cols, 3), PAPER, np.uint8)
    for unit in np.flatnonzero(own).tolist():
        made[unit] = within(picture_of(facts, kind, unit), rows, cols)
    left = ~own
    for other in facts.order if left.any() else ():
        weights = face_tiles(facts) if other == WEIGHTS else None
        has = left & (np.full(len(own), weights is not None) if other == WEIGHTS else there(facts, other))
        for unit in np.flatnonzero(has).tolist():
            made[unit] = within(weights[unit] if weights is not None else picture_of(facts, other, unit), rows, cols)
        left &= ~has
    return made


def first_tiles(facts: LayerFacts) -> np.ndarray:
    """The faces that stand for a layer's neurons, as tiles uint8 `[unit, row, col, RGB]`."""
    faces = layer_faces(facts, face_grid(facts))
    weights = face_tiles(facts)
    if weights is not None and (not faces or faces[0].kind == WEIGHTS):
        return weights
    return tiles(facts, faces[0].kind, faces[0].large.grid.rows, faces[0].large.grid.cols)


def picture_of(facts: LayerFacts, kind: str, unit: int) -> np.ndarray:
    """A neuron's picture of a kind other than weights, uint8 `[row, col, RGB]`; of examples the first."""
    if kind == VISUALIZATION and facts.looks is not None:
        return np.asarray(facts.looks.images[unit])
    if kind == EXAMPLES and facts.examples is not None:
        return np.asarray(facts.examples.crops[unit, 0])
    if kind == PICTURE and facts.given is not None:
        high, wide = facts.given.sizes[unit].tolist()
        return np.asarray(facts.given.images[unit, :high, :wide])
    if facts.pixels is None:
        raise ValueError(f"{facts.layer.address} has no pictures of the kind '{kind}'")
    return np.asarray(facts.pixels.pixels[unit])


def within(picture: np.ndarray, rows: int, cols: int) -> np.ndarray:
    """A picture uint8 `[row, col, RGB]` as large as fits into a tile, in its middle; one that is enlarged keeps its pixels."""
    top, left, high, wide = placed(picture.shape[:2], rows, cols)
    if picture.shape[:2] != (high, wide):
        how = Image.Resampling.NEAREST if high > picture.shape[0] else Image.Resampling.LANCZOS
        picture = np.array(Image.fromarray(np.ascontiguousarray(picture)).resize((wide, high), how))
    if (high, wide) == (rows, cols):
        return picture
    tile = np.full((rows, cols, 3), PAPER, np.uint8)
    tile[top : top + high, left : left + wide] = picture
    return tile


def placed(size: tuple[int, ...], rows: int, cols: int) -> tuple[int, int, int, int]:
    """First row and col, rows and cols of a picture of that size in a tile."""
    scale = min(rows / size[0], cols / size[1])
    high, wide = (max(1, min(most, round(own * scale))) for own, most in zip(size, (rows, cols), strict=True))
    return (rows - high) // 2, (cols - wide) // 2, high, wide


# -- sheets ---------------------------------------------------------------------------------------------------------------


def sheet(facts: LayerFacts, plan: Plan, unit: int) -> np.ndarray:
    """The photographic faces of one neuron, uint8 `[row, col, RGB]`."""
    page = np.full((plan.height, plan.width, 3), PAPER, np.uint8)
    if plan.visualization:
        _lay(page, plan.visualization, picture_of(facts, VISUALIZATION, unit), SEAM // 2)
    if plan.picture and there(facts, PICTURE)[unit]:
        _lay(page, plan.picture, picture_of(facts, PICTURE, unit), SEAM // 2)
    if plan.more and facts.looks is not None and facts.looks.more is not None:
        _lay_row(page, plan.more, np.asarray(facts.looks.more[unit]), range(more_count(facts)))
    if plan.examples and facts.examples is not None:
        held = np.flatnonzero(np.asarray(facts.examples.images[unit]) >= 0).tolist()
        _lay_row(page, plan.examples, np.asarray(facts.examples.crops[unit]), held)
    return page


def _lay_row(page: np.ndarray, first: Part, pictures: np.ndarray, ranks: Iterable[int]) -> None:
    """Put pictures `[rank, row, col, RGB]` side by side, each in the place of its rank."""
    for rank in ranks:
        _lay(page, first._replace(x=first.x + rank * (first.cols + 1)), pictures[rank], 1)


def _lay(page: np.ndarray, part: Part, picture: np.ndarray, seam: int) -> None:
    """Put a picture into its place; its edge goes on into the seam, so that no other colour reaches into it."""
    drawn = np.pad(within(picture, part.rows, part.cols), ((0, seam), (0, seam), (0, 0)), mode="edge")
    room = page[part.y : part.y + drawn.shape[0], part.x : part.x + drawn.shape[1]]
    room[:] = drawn[: room.shape[0], : room.shape[1]]
