"""What the pages need to name and show a neuron of any layer: its link, its face, its other addresses. Made once a layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from markupsafe import Markup, escape

from generator.addresses import FLAT, NEURONS, anchor, folder, neuron_file, neuron_page, section
from generator.pages.faces import SPRITE, WEIGHTS, LayerFace, Sprite, counterpart, layer_faces
from generator.pictures import BAR_TILE, Grid, bar_tiles, data_uri, sprite_grid
from generator.records import Faces, Family, LayerFacts, ModelFacts

OWN_SIZE = 56  # CSS pixels of the faces of other neurons of the same layer
ROW_SIZE = 36  # CSS pixels of a face or kernel in a table row, as near as an integer scale comes
WIDEST = 48  # and never wider than this


Families = Mapping[tuple[str, int], Sequence[Family]]  # of every neuron that is in any, by address and unit


@dataclass(frozen=True)
class LayerView:
    """One layer as other pages see it. What it says of every neuron is made when first asked for: many pages ask for none."""

    address: str
    folder: str
    facts: LayerFacts | None  # None: a layer that is read or written but is not part of the atlas
    neurons: int
    grid: Grid | None  # where the faces that stand for its neurons lie in their sprite; None where there are none
    chosen: frozenset[int]
    css: str  # class whose rule in the model's FACES shows this layer's faces
    families: Families
    faces: tuple[LayerFace, ...] = ()  # that its neurons have; the first stands for them
    per_layer: bool = False  # whether its neurons stand on one page

    @property
    def own(self) -> str:
        """The classes that show this layer's faces, larger, on its own neurons' pages."""
        return f"{self.css} own"

    @property
    def factor(self) -> str:
        """The class that shows the pictures of its weights there, whichever face stands for the neurons."""
        return f"f{self.css[1:]}"

    @cached_property
    def leads(self) -> tuple[Markup, ...]:
        """[unit] the opening of a link to the neuron from a page of another layer, with its face."""
        if self.facts is None:
            return (_lead("", Markup(""), False),) * self.neurons
        return tuple(_lead(self.page(unit), place(self.grid, unit), unit in self.chosen) for unit in range(self.neurons))

    @cached_property
    def tails(self) -> tuple[Markup, ...]:
        """[unit] the rest of it: the neuron's short name."""
        return tuple(_tail(unit, self._names, unit in self.chosen) for unit in range(self.neurons))

    @cached_property
    def named(self) -> tuple[Markup, ...]:
        """[unit] as tails, with the names of the families the neuron is in: for rows that have the room."""
        return tuple(self._named(unit) for unit in range(self.neurons))

    @cached_property
    def links(self) -> tuple[str, ...]:
        """[unit] the whole link, face and short name, as markup."""
        return tuple(lead + tail for lead, tail in zip(map(str, self.leads), map(str, self.tails), strict=True))

    @cached_property
    def openings(self) -> tuple[str, ...]:
        """[unit] the first cell of a row in a table of connections, as markup: the link and where its kernel stands."""
        return tuple(f"<th>{lead!s}{name!s}<td>" for lead, name in zip(self.leads, self.named, strict=True))

    @cached_property
    def _names(self) -> Sequence[str]:
        """[unit] what the neurons of a classifier, or of the input, stand for; empty elsewhere."""
        if self.facts is None:
            return ()
        return self.facts.labels or (CHANNEL_NAMES if is_colour_input(self.facts) else ())

    def _named(self, unit: int) -> Markup:
        families = self.families.get((self.address, unit))
        return _tail(unit, self._names, unit in self.chosen, families) if families else self.tails[unit]

    def page(self, unit: int) -> str:
        """The page of one neuron, from the model's folder."""
        return neuron_page(self.address, unit, self.neurons, self.per_layer)

    def way(self, unit: int) -> str:
        """The page of one neuron, from its layer's page."""
        if self.per_layer:
            return f"{NEURONS}#{section(unit)}"
        return neuron_file(unit) if self.neurons <= FLAT else f"../{self.page(unit)}"

    def alias_of(self, unit: int) -> tuple[str, ...]:
        """The other addresses of one neuron: the branches of the concat that made it."""
        branches = self.facts.layer.branches if self.facts else ()
        return tuple(f"{one.address}:{unit - one.start}" for one in branches if one.start <= unit < one.stop)


def layer_views(model: ModelFacts, families: Families, per_layer: bool = False) -> dict[str, LayerView]:
    """A view of every layer of the atlas and of every layer at the other end of one of its tables, by address."""
    views = {facts.layer.address: _view(facts, number, families, per_layer) for number, facts in enumerate(model.layers)}
    for facts in model.layers:
        for pair in (*facts.reads, *facts.writes):
            target, source = pair.weights.kernel.shape[:2]
            for address, neurons in ((pair.weights.target, target), (pair.weights.source, source)):
                if address not in views:
                    views[address] = _outside(address, neurons)
    return views


def face_tiles(facts: LayerFacts) -> np.ndarray | None:
    """The pictures of a layer's weights as tiles uint8 `[unit, row, col, RGB]`; None where it has none, or is to show none."""
    faces = facts.faces
    if WEIGHTS not in facts.order:
        return None
    if has_bars(faces):
        return bar_tiles(np.asarray(faces.bars))
    if faces.pixels.size:
        return faces.pixels
    return CHANNELS if is_colour_input(facts) else None


def face_grid(facts: LayerFacts) -> Grid | None:
    """Where `face_tiles` lie in the layer's sprite, without making them."""
    if has_bars(facts.faces) and WEIGHTS in facts.order:
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
    return Markup(_rule(f".{css}", Sprite("", grid, smooth=False), address, (target,), tile, False))


def face_style(
    css: str, view: LayerView, where: str, targets: Sequence[float], tile: str = " ::before", large: bool = False
) -> Markup:
    """The rules that show the faces of a layer: the first of them, and each other one where the reader asks for it.

    where: leads to the layer's folder; targets: about how many CSS pixels a face has, and how many on its own neurons' pages;
    large: whether the sprites for grids are to be used.
    """
    if not view.faces:
        return sprite_style(css, None, "", targets[0], tile)
    rules: list[str] = []
    for face in view.faces:
        sprite = face.large if large else face.small
        asked = f"[data-face={face.kind}] " if rules else ""
        rules.append(_rule(f"{asked}.{css}", sprite, f"{where}{sprite.file}", targets, tile, view.faces[0].small.smooth))
    return Markup("".join(rules))


def _rule(selector: str, sprite: Sprite, address: str, targets: Sequence[float], tile: str, after_smooth: bool) -> str:
    """One sprite's rule; `after_smooth`: whether it takes the place of one that is shown smoothly."""
    scales = [_scale(sprite, one) for one in targets]
    size = _size(sprite, scales[0]) + "".join(f";--o:{one:g}" for one in scales[1:])
    return f"{selector}{{{size}}}{selector}{tile}{{{_drawn(sprite, address, scales[0], after_smooth)}}}"


def _scale(sprite: Sprite, target: float) -> float:
    """How many times the tiles of a sprite are enlarged to come near `target` CSS pixels."""
    grid = sprite.grid
    return round(target / max(grid.rows, grid.cols), 3) if sprite.smooth else scale_to(target, grid.rows, grid.cols)


def _size(sprite: Sprite, scale: float) -> str:
    """The properties that tell the style sheet how large a sprite and its tiles are."""
    return f"--r:{sprite.grid.rows};--c:{sprite.grid.cols};--w:{sprite.grid.width};--s:{scale:g}"


def _drawn(sprite: Sprite, address: str, scale: float, after_smooth: bool) -> str:
    """The properties that draw it."""
    smooth = sprite.smooth or scale < 1
    how = ";image-rendering:auto" if smooth else ";image-rendering:pixelated" if after_smooth else ""
    return f'background-image:url("{address}"){how}'


IN_STRIP = ">*::before"  # the tile of a link in a strip or a grid, where a link is a face with its number
BESIDE = ">[style]::after"  # and the tile below that, where a neuron is shown twice


def paired_style(css: str, view: LayerView, where: str, target: float) -> Markup:
    """The rules that show, below each face of a strip, its counterpart: `pages.faces.counterpart`."""
    rules: list[str] = []
    for face in view.faces:
        other = counterpart(view.faces, face.kind)
        if other is not None:
            scale = _scale(other.small, target)
            said = f"{_size(other.small, scale)};{_drawn(other.small, f'{where}{other.small.file}', scale, bool(rules))}"
            asked = f"[data-face={face.kind}] " if rules else ""
            rules.append(f"{asked}.{css}{BESIDE}{{{said}}}")
    return Markup("".join(rules))  # as in `sprite_style` nothing to escape


def place(grid: Grid | None, tile: int) -> Markup:
    """The style attribute that names one tile of a sprite, with a space before it; '' without a sprite.

    The style sheet works out column and row: it knows that a sprite is SPRITE_COLUMNS tiles wide.
    """
    return Markup("") if grid is None else Markup(f" style=--u:{tile}")  # an integer needs no quotes


def link(view: LayerView, unit: int, prefix: str | None, with_anchor: bool = False, label: str = "") -> tuple[Markup, Markup]:
    """A neuron's face and name as a link (or plain, where it has no page), opened and closed.

    `prefix` leads from the page to the model's folder; None says that the page is the layer's own.
    """
    mark = f' id="{anchor(unit)}"' if with_anchor else ""
    style, name = place(view.grid, unit), f"{unit} {escape(label)}" if label else f"{unit}"
    if unit in view.chosen:  # an address holds nothing to escape, see `_lead`
        address = view.way(unit) if prefix is None else prefix + view.page(unit)
        return Markup(f'<a{mark} href="{address}"{style}>'), Markup(f"{name}</a>")
    return Markup(f"<span{mark}{style}>"), Markup(f"{name}</span>")


def _view(facts: LayerFacts, number: int, families: Families, per_layer: bool) -> LayerView:
    """A layer that is part of the atlas."""
    where, faces = folder(facts.layer.address), layer_faces(facts, face_grid(facts))
    chosen, grid = frozenset(facts.chosen.tolist()), faces[0].small.grid if faces else None
    address, neurons = facts.layer.address, facts.layer.neurons
    return LayerView(address, where, facts, neurons, grid, chosen, f"s{number}", families, faces, per_layer)


def _outside(address: str, neurons: int) -> LayerView:
    """A layer that has no pages: its neurons are named, without a face and without a link."""
    return LayerView(address, folder(address), None, neurons, None, frozenset(), "sx", {})


def _lead(page: str, style: Markup, linked: bool) -> Markup:
    """The opening of a row's link to `page`, from the model's folder.

    All of it is made of folder(), integers and our own markup: nothing to escape, and nothing that needs quotes.
    """
    return Markup(f"<a href=../{page}{style}>" if linked else f"<span{style}>")


NAMES = 2  # families that a row names; the neuron's own page names them all


def _tail(unit: int, labels: Sequence[str], linked: bool, families: Sequence[Family] = ()) -> Markup:
    """The rest of it: the unit and, in a classifier, what it stands for; its families, small, where they are given."""
    name = f"{unit} {escape(labels[unit])}" if labels else f"{unit}"
    said = ", ".join(one.name for one in families[:NAMES]) + (", …" if len(families) > NAMES else "")
    small = f" <small>{escape(said)}</small>" if said else ""
    return Markup(f"{name}{small}</a>" if linked else f"{name}{small}</span>")


def faces_rules(views: Iterable[LayerView]) -> Markup:
    """The rules that show the faces of a model's layers on the pages of neurons: on those of other layers, and of their own."""
    rules = [str(sprite_style("sx", None, "", ROW_SIZE))]
    for view in views:
        if view.facts is not None:
            where = f"{view.folder}/"
            rules += [str(face_style(view.css, view, where, (ROW_SIZE, OWN_SIZE)))]
            if view.facts.faces.kind == "nmf":
                rules += [str(sprite_style(view.factor, face_grid(view.facts), f"{where}{SPRITE}", OWN_SIZE))]
    rules.append(".own.own.own{--s:var(--o)}")  # whichever face is asked for
    return Markup("\n".join(rules))


def sheet_style(sheet: bytes, height: int) -> str:
    """The properties that give the tables of a neuron a PNG, `height` pixels high, as the picture of their kernels."""
    return f"--kh:{height};--sheet:url({data_uri(sheet)})"


def kernel_place(rows: int, cols: int) -> str:
    """The properties that cut a table's kernels from that picture; what is to follow is the row they begin at."""
    scale = min(scale_to(ROW_SIZE, rows, cols), WIDEST)
    return f"--kr:{rows};--kc:{cols};--ks:{scale:g};--kt:"
