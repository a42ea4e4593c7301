"""The page of a neuron: its face, what it explains, its factors and what drives them, what it reads and what it writes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from generator.addresses import FLAT, anchor
from generator.pages import wording
from generator.pages.common import Common, Link, ModelContext, absolute
from generator.pages.connections import Table, Tables, kernel_rules, made
from generator.pages.oembed import oembed_address
from generator.pages.responses import Response, response
from generator.pages.standing import Alike, Fact, facts_of
from generator.pages.views import LayerView, face_tiles, has_bars, place, scale_to, sprite_style
from generator.pictures import data_uri, png

FACE_SIZE, OWN_SIZE = 224, 56  # CSS pixels of the picture that opens the page, and of others of its layer on it
DRIVERS = 3  # inputs shown on either side of zero for each factor


class Driver(NamedTuple):
    """An input that drives a factor or makes a bar, as a link with its face."""

    css: str
    lead: Markup
    tail: Markup


class Drivers(NamedTuple):
    """Inputs of one source layer that pull a factor the same way, most first."""

    css: str
    links: tuple[tuple[Markup, Markup], ...]


class Bar(NamedTuple):
    """One bar of a neuron that has no positions to show."""

    driver: Driver
    value: str
    side: str  # 'e' excites, 'i' inhibits
    length: int  # per cent of the longest


@dataclass(frozen=True)
class Picture:
    """A picture inlined in the page, with the size it is shown at in CSS pixels."""

    uri: str
    width: int
    height: int
    alt: str


@dataclass(frozen=True)
class Factor:
    """One factor of a neuron's picture, and the inputs that weigh most on it. Alone it is one channel of the face."""

    name: str  # its colour in the picture; its number where it has a map of its own
    excited: tuple[Drivers, ...]
    inhibited: tuple[Drivers, ...]


@dataclass(frozen=True)
class NeuronPage:
    """Everything the page of a neuron says."""

    common: Common
    address: str
    unit: int
    label: str
    aliases: tuple[str, ...]
    families: tuple[Link, ...]
    note: Markup  # what the user says of it, '' if nothing
    picture: Picture | None
    response: Response | None  # its feature visualization
    place: Markup  # names its face in the layer's own sprite
    explained: str
    face_line: str  # what the picture shows
    face_how: str  # how it was made, in more words
    factors: tuple[Factor, ...]
    bars: tuple[Bar, ...]
    notes: tuple[str, ...]
    facts: tuple[Fact, ...]
    alike: tuple[Markup, ...]  # neurons of the layer with alike weights, as links
    reads: tuple[Table, ...]
    writes: tuple[Table, ...]
    refused: tuple[str, ...]
    styles: tuple[Markup, ...]
    oembed: str  # absolute address of its oEmbed file; '' where it has none


class NeuronPages:
    """Makes the pages of one layer's neurons; what they share is worked out once."""

    def __init__(self, context: ModelContext, place: int) -> None:
        self.context, self.place = context, place
        self.facts = context.model.layers[place]
        self.common = context.layer_common(place)
        self.view = context.views[self.facts.layer.address]
        self.home = "" if self.view.neurons <= FLAT else f"../{self.view.folder}/"  # from these pages to their layer's folder
        self.alike = Alike(self.facts, self.view)
        self.tiles = face_tiles(self.facts)
        self.face_line = wording.face_shown(self.facts.faces, context.atlas.factors, self.facts.layer.kind)
        self.face_how = wording.face_how(self.facts.faces, self.facts.layer.kind)
        scaled = context.atlas.scaled_by_source
        self.reads = [Tables(context, pair, pair.reads, f"r{number}", scaled) for number, pair in enumerate(self.facts.reads)]
        self.writes = [
            Tables(context, pair, pair.writes, f"w{number}", scaled) for number, pair in enumerate(self.facts.writes)
        ]
        self.inputs = _input_places(context, self.facts.faces.sources, self._inputs())
        own = sprite_style("own", self.view.grid, f"{self.home}faces.png", OWN_SIZE)
        factored = self.facts.faces.factors is not None and self.facts.faces.kind == "nmf"
        beside = (own,) if factored or self.facts.statistics is not None else ()
        self.styles = tuple(dict.fromkeys(view.style for view in self._shown_views())) + beside

    def page(self, position: int) -> NeuronPage:
        """The page of the neuron `chosen[position]`."""
        facts, unit = self.facts, int(self.facts.chosen[position])
        address, note = facts.layer.address, facts.faces.notes[unit]
        reads, writes = made(self.reads, unit), made(self.writes, unit)
        return NeuronPage(
            common=self._common(position, unit),
            address=address,
            unit=unit,
            label=facts.labels[unit] if facts.labels else "",
            aliases=self.view.alias_of(unit),
            families=self.context.families_of(address, unit),
            note=self.context.note_on(address, unit),
            picture=self._picture(unit),
            response=response(facts, unit),
            place=place(self.view.grid, unit),
            explained=self._explained(unit),
            face_line=self.face_line,
            face_how=self.face_how,
            factors=self._factors(unit),
            bars=self._bars(unit),
            notes=(wording.sentence(note),) if note else (),
            facts=facts_of(facts.statistics, unit),
            alike=self.alike.of(unit),
            reads=tuple(one.table for one in reads),
            writes=tuple(one.table for one in writes),
            refused=facts.refused,
            styles=(*self.styles, *kernel_rules((*reads, *writes))),
            oembed=oembed_address(self.context, facts, unit),
        )

    def _common(self, position: int, unit: int) -> Common:
        """What this page has in common with all others."""
        chosen, address = self.facts.chosen, self.facts.layer.address
        before = int(chosen[position - 1]) if position else None
        after = int(chosen[position + 1]) if position + 1 < len(chosen) else None
        path = f"{self.context.folder}/{self.view.page(unit)}"
        return replace(
            self.common,
            title=f"{address}:{unit} · {self.context.model.name}",
            trail=(*self.common.trail, Link(f"{self.home}index.html", address)),
            here=str(unit),
            canonical=absolute(self.context.atlas.site_url, path),
            description=f"Weights of {address}:{unit}",
            previous=None if before is None else Link(self.view.way(before), str(before)),
            following=None if after is None else Link(self.view.way(after), str(after)),
            up=Link(f"{self.home}index.html#{anchor(unit)}", "in the grid"),
        )

    def _inputs(self) -> int:
        """How many inputs the pictures of this layer are about."""
        faces = self.facts.faces
        if faces.factors is not None:
            return int(faces.factors.mixes.shape[1])
        return 1 + int(faces.bar_inputs.max(initial=-1)) if faces.bar_inputs is not None else 0

    def _shown_views(self) -> list[LayerView]:
        """The layers whose faces stand on these pages, in a fixed order."""
        tables = [tables.view for tables in (*self.reads, *self.writes)]
        sources = [self.context.views[one] for one in self.facts.faces.sources if one in self.context.views]
        return tables + (sources if self.inputs else [])

    def _picture(self, unit: int) -> Picture | None:
        """The neuron's face at reading size."""
        if self.tiles is None or has_bars(self.facts.faces):  # the bars themselves follow, with their names
            return None
        alt = f"Picture of {self.facts.layer.address}:{unit}"
        return _picture(self.tiles[unit], FACE_SIZE, alt)

    def _explained(self, unit: int) -> str:
        """What the picture tells of the weights, and what would be possible; '' where nothing was factored."""
        factors = self.facts.faces.factors
        if factors is None or not np.isfinite(factors.explained[unit]):
            return ""
        noise = self.facts.faces.noise
        numbers = (
            float(factors.explained[unit]),
            float(factors.bound[unit]),
            factors.noise if noise is None else float(noise[unit]),
        )
        return wording.explained_line(factors.maps.shape[3], *numbers)

    def _factors(self, unit: int) -> tuple[Factor, ...]:
        """Each factor alone, in its colour, with the inputs that drive it most."""
        factors = self.facts.faces.factors
        if factors is None or not np.isfinite(factors.explained[unit]):
            return ()
        count = factors.maps.shape[3]
        used = [at for at in range(count) if factors.maps[unit, ..., at].any()]
        names = wording.FACTOR_COLOURS if self.facts.faces.kind == "nmf" else wording.COUNTS[1:]
        mixes = factors.mixes[unit]
        return tuple(Factor(names[at], *self._drivers(mixes[:, at])) for at in used)

    def _drivers(self, mix: np.ndarray) -> tuple[tuple[Drivers, ...], tuple[Drivers, ...]]:
        """The inputs a factor reads with the largest positive and the largest negative weight."""
        if not self.inputs:
            return (), ()
        order = np.argsort(mix, kind="stable")
        low, high = order[:DRIVERS], order[::-1][:DRIVERS]
        return self._grouped(high[mix[high] > 0].tolist()), self._grouped(low[mix[low] < 0].tolist())

    def _grouped(self, inputs: list[int]) -> tuple[Drivers, ...]:
        """Inputs by the layer they come from, so that each layer's sprite is named once."""
        found = [self._driver(index) for index in inputs]
        groups = dict.fromkeys(one.css for one in found)
        return tuple(Drivers(css, tuple((one.lead, one.tail) for one in found if one.css == css)) for css in groups)

    def _driver(self, index: int) -> Driver:
        """The neuron behind one input of the picture."""
        view, unit = self.inputs[index]
        return Driver(view.css, view.leads[unit], view.tails[unit])

    def _bars(self, unit: int) -> tuple[Bar, ...]:
        """The largest inputs, where there are no positions to picture."""
        faces = self.facts.faces
        if not has_bars(faces) or faces.bars is None or faces.bar_inputs is None or not self.inputs:
            return ()
        values = np.nan_to_num(faces.bars[unit], posinf=0.0, neginf=0.0)
        longest = float(np.abs(values).max(initial=0.0)) or 1.0
        places = wording.decimals(longest)
        pairs = zip(values.tolist(), faces.bar_inputs[unit].tolist(), strict=True)
        return tuple(
            Bar(
                self._driver(which),
                wording.aligned(value, places),
                "e" if value > 0 else "i",
                round(100 * abs(value) / longest),
            )
            for value, which in pairs
            if value
        )


def _input_places(context: ModelContext, sources: Sequence[str], inputs: int) -> list[tuple[LayerView, int]]:
    """The neuron behind each input of a layer's pictures, sources one after the other; empty where that cannot be told."""
    views = [context.views.get(address) for address in sources]
    known = [view for view in views if view is not None]
    places = [(view, unit) for view in known for unit in range(len(view.leads))]
    return places if len(known) == len(views) and len(places) >= inputs else []


def _picture(pixels: np.ndarray, size: float, alt: str) -> Picture:
    """Pixels uint8 `[row, col, RGB]` as an inlined picture of about `size` CSS pixels, at an integer scale where it grows."""
    rows, cols = pixels.shape[:2]
    scale = scale_to(size, rows, cols)
    return Picture(data_uri(png(pixels)), round(cols * scale), round(rows * scale), alt)
