"""What the pages need to name and show a neuron of any layer: its link, its face, its other addresses. Made once a layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from generator.addresses import FLAT, anchor, folder, neuron_file, neuron_page
from generator.pictures import BAR_TILE, Grid, bar_tiles, data_uri, sprite_grid
from generator.records import Faces, Family, LayerFacts, ModelFacts

ROW_SIZE = 36  # CSS pixels of a face or kernel in a table row, as near as an integer scale comes
WIDEST = 48  # and never wider than this


@dataclass(frozen=True)
class LayerView:
    """One layer as other pages see it."""

    address: str
    folder: str
    facts: LayerFacts | None  # None: a layer that is read or written but is not part of the atlas
    neurons: int
    grid: Grid | None  # where the faces lie in the layer's sprite; None where there are none
    chosen: frozenset[int]
    leads: tuple[Markup, ...]  # [unit] the opening of a link to the neuron from a page of another layer, with its face
    tails: tuple[Markup, ...]  # [unit] the rest of it: the neuron's short name
    style: Markup  # the rule that cuts this layer's faces from its sprite, for pages of layers of the same model
    css: str  # its class
    named: tuple[Markup, ...]  # [unit] as tails, with the names of the families the neuron is in: for rows that have the room

    def page(self, unit: int) -> str:
        """The page of one neuron, from the model's folder."""
        return neuron_page(self.address, unit, self.neurons)

    def way(self, unit: int) -> str:
        """The page of one neuron, from its layer's page."""
        return neuron_file(unit) if self.neurons <= FLAT else f"../{self.page(unit)}"

    def alias_of(self, unit: int) -> tuple[str, ...]:
        """The other addresses of one neuron: the branches of the concat that made it."""
        branches = self.facts.layer.branches if self.facts else ()
        return tuple(f"{one.address}:{unit - one.start}" for one in branches if one.start <= unit < one.stop)


Families = Mapping[tuple[str, int], Sequence[Family]]  # of every neuron that is in any, by address and unit


def layer_views(model: ModelFacts, families: Families) -> dict[str, LayerView]:
    """A view of every layer of the atlas and of every layer at the other end of one of its tables, by address."""
    views = {facts.layer.address: _view(facts, number, families) for number, facts in enumerate(model.layers)}
    for facts in model.layers:
        for pair in (*facts.reads, *facts.writes):
            target, source = pair.weights.kernel.shape[:2]
            for address, neurons in ((pair.weights.target, target), (pair.weights.source, source)):
                if address not in views:
                    views[address] = _outside(address, neurons)
    return views


def face_tiles(facts: LayerFacts) -> np.ndarray | None:
    """The faces of a layer as tiles uint8 `[unit, row, col, RGB]`; None where it has none."""
    faces = facts.faces
    if has_bars(faces):
        return bar_tiles(np.asarray(faces.bars))
    if faces.pixels.size:
        return faces.pixels
    return CHANNELS if is_colour_input(facts) else None


def face_grid(facts: LayerFacts) -> Grid | None:
    """Where `face_tiles` lie in the layer's sprite, without making them."""
    if has_bars(facts.faces):
        return sprite_grid(facts.layer.neurons, BAR_TILE, BAR_TILE)
    tiles = face_tiles(facts)
    return None if tiles is None else sprite_grid(*tiles.shape[:3])


def has_bars(faces: Faces) -> bool:
    """Whether bars stand in place of pictures."""
    return faces.kind == "bars" and faces.bars is not None and faces.bar_inputs is not None and faces.bars.size > 0


def is_colour_input(facts: LayerFacts) -> bool:
    """Whether a layer is the network's input, in colour: its three neurons are red, green and blue."""
    return facts.layer.kind == "input" and facts.layer.neurons == len(CHANNEL_NAMES)


CHANNEL_NAMES = ("red", "green", "blue")
CHANNELS = (255 * np.eye(3, dtype=np.uint8))[:, None, None, :]


def scale_to(target: float, rows: int, cols: int) -> float:
    """How many times a picture is enlarged to come near `target` CSS pixels: an integer, unless it must shrink."""
    longest = max(rows, cols)
    return max(1, round(target / longest)) if longest <= 1.5 * target else round(target / longest, 3)


def sprite_style(css: str, grid: Grid | None, address: str, target: float, tile: str = " ::before") -> Markup:
    """The rule that shows tiles of one sprite at about `target` CSS pixels; `address` is relative to the page.

    `tile` selects what shows a tile within an element of class `css`. All of the rule is numbers, our own names and folder(),
    which holds neither quotes, angle brackets nor backslashes: nothing to escape.
    """
    if grid is None:
        return Markup(f".{css}{{--r:1;--c:1;--w:2;--s:{target:g}}}.{css}{tile}{{border:1px solid var(--rule)}}")
    scale = scale_to(target, grid.rows, grid.cols)
    size = f"--r:{grid.rows};--c:{grid.cols};--w:{grid.width};--s:{scale:g}"
    smooth = ";image-rendering:auto" if scale < 1 else ""
    return Markup(f'.{css}{{{size}}}.{css}{tile}{{background-image:url("{address}"){smooth}}}')


IN_STRIP = ">*::before"  # the tile of a link in a strip or a grid, where a link is a face with its number


def place(grid: Grid | None, tile: int) -> Markup:
    """The style attribute that names one tile of a sprite, with a space before it; '' without a sprite.

    The style sheet works out column and row: it knows that a sprite is SPRITE_COLUMNS tiles wide.
    """
    return Markup("") if grid is None else Markup(f" style=--u:{tile}")  # an integer needs no quotes


def link(view: LayerView, unit: int, prefix: str | None, with_anchor: bool = False, label: str = "") -> tuple[Markup, Markup]:
    """A neuron's face and name as a link (or plain, where it has no page), opened and closed.

    `prefix` leads from the page to the model's folder; None says that the page is the layer's own.
    """
    mark = Markup(f' id="{anchor(unit)}"') if with_anchor else Markup("")
    style, name = place(view.grid, unit), f"{unit} {label}".rstrip()
    if unit in view.chosen:
        address = escape(view.way(unit) if prefix is None else prefix + view.page(unit))
        return Markup('<a{} href="{}"{}>').format(mark, address, style), Markup("{}</a>").format(name)
    return Markup("<span{}{}>").format(mark, style), Markup("{}</span>").format(name)


def _view(facts: LayerFacts, number: int, families: Families) -> LayerView:
    """A layer that is part of the atlas."""
    where, grid = folder(facts.layer.address), face_grid(facts)
    chosen = frozenset(facts.chosen.tolist())
    address, neurons = facts.layer.address, facts.layer.neurons
    leads = tuple(_lead(neuron_page(address, unit, neurons), place(grid, unit), unit in chosen) for unit in range(neurons))
    names = facts.labels or (CHANNEL_NAMES if is_colour_input(facts) else ())
    tails = tuple(_tail(unit, names, unit in chosen) for unit in range(neurons))
    named = tuple(_tail(unit, names, unit in chosen, families.get((address, unit), ())) for unit in range(neurons))
    style = sprite_style(f"s{number}", grid, f"../{where}/faces.png", ROW_SIZE)
    return LayerView(address, where, facts, neurons, grid, chosen, leads, tails, style, f"s{number}", named)


def _outside(address: str, neurons: int) -> LayerView:
    """A layer that has no pages: its neurons are named, without a face and without a link."""
    leads = (_lead("", Markup(""), False),) * neurons
    tails = tuple(_tail(unit, (), False) for unit in range(neurons))
    style = sprite_style("sx", None, "", ROW_SIZE)
    return LayerView(address, folder(address), None, neurons, None, frozenset(), leads, tails, style, "sx", tails)


def _lead(page: str, style: Markup, linked: bool) -> Markup:
    """The opening of a row's link to `page`, from the model's folder.

    All of it is made of folder(), integers and our own markup: nothing to escape, and nothing that needs quotes.
    """
    return Markup(f"<a href=../{page}{style}>" if linked else f"<span{style}>")


NAMES = 2  # families that a row names; the neuron's own page names them all


def _tail(unit: int, labels: Sequence[str], linked: bool, families: Sequence[Family] = ()) -> Markup:
    """The rest of it: the unit and, in a classifier, what it stands for; its families, small, where they are given."""
    name = f"{unit} {labels[unit]}" if labels else f"{unit}"
    said = ", ".join(one.name for one in families[:NAMES]) + (", …" if len(families) > NAMES else "")
    small = Markup(" <small>{}</small>").format(said) if said else Markup("")
    return Markup("{}{}</a>" if linked else "{}{}</span>").format(name, small)


def cell_rules(sheet: bytes, height: int, tables: Sequence[tuple[str, int, int, int]]) -> tuple[Markup, ...]:
    """The rules that show the kernels of a page's tables, cut from one PNG that is `height` pixels high.

    tables: (id, rows and columns of a kernel, row of the sheet at which its kernels stand side by side) for each.
    """
    cells = []
    for name, rows, cols, top in tables:
        scale = min(scale_to(ROW_SIZE, rows, cols), WIDEST)
        cells.append(Markup(f"#{name}{{--kr:{rows};--kc:{cols};--ks:{scale:g};--kt:{top}}}"))
    return Markup(f'.k{{--kh:{height}}}.k ::after{{background-image:url("{data_uri(sheet)}")}}'), *cells
