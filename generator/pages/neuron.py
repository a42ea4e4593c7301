"""The page of a neuron: its face, what it explains, its factors and what drives them, what it reads and what it writes to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from markupsafe import Markup

from generator.addresses import FLAT, NEURONS, anchor, section
from generator.pages import wording
from generator.pages.common import Common, Link, ModelContext, absolute
from generator.pages.connections import Sides, Table, how_made
from generator.pages.facebudget import Drawn, fitted_faces
from generator.pages.faces import NO_SWITCH, WEIGHTS, Switch, switch_of
from generator.pages.factors import Factors, bars
from generator.pages.oembed import oembed_address
from generator.pages.portraits import Portrait, Portraits
from generator.pages.pushing import Pushing, PushLines
from generator.pages.standing import Standing
from generator.pages.views import face_grid, scale_to
from generator.pictures import data_uri
from generator.records import LayerFacts

FACE_SIZE = 224  # CSS pixels of the picture that opens the page
BLOCK = 512  # neurons that are looked at at once: enough to save time, few enough to save memory


class Picture(NamedTuple):
    """A picture inlined in the page, with the size it is shown at in CSS pixels."""

    uri: Markup
    width: int
    height: int
    alt: str


class NeuronPage(NamedTuple):
    """Everything the page of a neuron says. What is Markup is a finished part of the page, to be put where it belongs."""

    common: Common
    address: str
    unit: int
    label: str
    aliases: tuple[str, ...]
    families: tuple[Link, ...]
    note: Markup  # what the user says of it, '' if nothing
    picture: Picture | None
    faces: tuple[Portrait, ...]  # in their order, that of its weights among them; none where it has no other
    pushes: PushLines | None  # the classes it pushes up and down
    explained: str
    face_line: str  # what the picture shows, or that none is to be shown
    face_how: str  # how it was made, in more words
    factors: Markup  # each factor of the picture and the inputs that weigh most on it
    bars: Markup  # the rows of a table of its largest inputs, of a neuron that has no positions to show
    notes: tuple[str, ...]
    facts: Markup  # its statistics, as terms of a list
    alike: Markup  # links to the neurons of the layer with alike weights
    reads: tuple[Table, ...]
    writes: tuple[Table, ...]
    reads_how: str  # how the kernels of these came about
    writes_how: str
    refused: tuple[str, ...]
    sheet: Markup  # the attribute that gives its tables the picture of their kernels
    css: str  # class that shows the faces of its own layer
    switch: Switch  # of the faces of neurons in its links; without any where it stands on a page with others
    oembed: str  # absolute address of its oEmbed file; '' where it has none


class JoinedPage(NamedTuple):
    """The page of all neurons of a layer."""

    common: Common
    address: str
    sections: Markup  # what is said of each neuron
    switch: Switch  # of the faces of neurons in links


class NeuronPages:
    """Makes the pages of one layer's neurons; what they share is worked out once, and what can be for all of them at once."""

    def __init__(self, context: ModelContext, place: int, made: Drawn | None = None) -> None:
        """made: the layer's faces, where they are made already."""
        self.context, self.facts = context, context.model.layers[place]
        self.common = context.layer_common(place)
        self.view = context.views[self.facts.layer.address]
        beside = self.view.neurons <= FLAT or self.view.per_layer
        self.home = "" if beside else f"../{self.view.folder}/"  # from these pages to their layer's folder
        facts = self.facts
        self.made, self.face_size = made or fitted_faces(facts, self.view), _face_size(facts)
        self.standing = Standing(facts, self.view)
        self.face_line, self.face_how = wording.face_shown(facts, context.atlas.factors), wording.face_how(facts)
        self.begin(0)
        self.portraits = Portraits(facts, self.made, context.model.input_shape[1:], self.face_line, self.face_how)
        self.pushing = Pushing(context, facts)
        near = {self.view.address, *facts.faces.sources}
        near |= {end for pair in (*facts.reads, *facts.writes) for end in (pair.weights.source, pair.weights.target)}
        self.switch = switch_of(view.faces for address, view in context.views.items() if address in near)

    def begin(self, first: int) -> None:
        """Work out what is worked out for many neurons at once: BLOCK of them from the position `first` on."""
        units = self.facts.chosen[first : first + BLOCK]
        self.first = first
        self.pictures = self.made.pictures[first : first + BLOCK]
        self.factors = Factors(self.context, self.facts, self.view, units)
        self.sides = Sides(self.context, self.facts, units)

    def pages(self) -> Iterator[tuple[int, NeuronPage]]:
        """Every neuron that has a page, and the page."""
        return ((unit, self.page(position)) for position, unit in enumerate(self.facts.chosen.tolist()))

    def page(self, position: int) -> NeuronPage:
        """The page of the neuron `chosen[position]`."""
        facts, unit = self.facts, int(self.facts.chosen[position])
        address, note, shown = facts.layer.address, facts.faces.notes[unit], WEIGHTS in facts.order
        if not self.first <= position < self.first + BLOCK:
            self.begin(position - position % BLOCK)
        at = position - self.first
        reads, writes = self.sides.of(at, f"{section(unit)}-" if self.view.per_layer else "")
        return NeuronPage(
            common=self._common(position, unit),
            address=address,
            unit=unit,
            label=facts.labels[unit] if facts.labels else "",
            aliases=self.view.alias_of(unit),
            families=self.context.families_of(address, unit),
            note=self.context.note_on(address, unit),
            picture=self._picture(at, unit),
            faces=self.portraits.of(unit, self._weights(at, unit)),
            pushes=self.pushing.of(unit),
            explained=self.factors.line(at) if shown else "",
            face_line=self.face_line,
            face_how=self.face_how,
            factors=self.factors.of(at) if shown else Markup(""),
            bars=bars(facts.faces, self.factors.inputs, unit) if shown else Markup(""),
            notes=(wording.sentence(note),) if note else (),
            facts=self.standing.numbers(unit),
            alike=self.standing.alike(unit),
            reads=reads,
            writes=writes,
            reads_how=how_made(reads),
            writes_how=how_made(writes),
            refused=facts.refused,
            sheet=self.sides.sheet(at),
            css=self.view.own,
            switch=NO_SWITCH if self.view.per_layer else self.switch,
            oembed=oembed_address(self.context, facts, unit),
        )

    def _common(self, position: int, unit: int) -> Common:
        """What this page has in common with all others."""
        chosen, address = self.facts.chosen, self.facts.layer.address
        before = int(chosen[position - 1]) if position else None
        after = int(chosen[position + 1]) if position + 1 < len(chosen) else None
        path = f"{self.context.folder}/{self.view.page(unit)}"
        return self.common._replace(
            title=f"{address}:{unit} · {self.context.model.name}",
            trail=(*self.common.trail, Link(f"{self.home}index.html", address)),
            here=str(unit),
            canonical=absolute(self.context.atlas.site_url, path),
            description=f"Weights of {address}:{unit}",
            previous=None if before is None else Link(self.view.way(before), str(before)),
            following=None if after is None else Link(self.view.way(after), str(after)),
            up=Link(f"{self.home}index.html#{anchor(unit)}", "in the grid"),
            section=section(unit) if self.view.per_layer else "",
            headings=self.context.headings,
        )

    def joined(self, sections: Markup) -> JoinedPage:
        """The page of all neurons of the layer, of what is said of each."""
        address, home = self.facts.layer.address, self.common
        common = home._replace(
            title=f"Neurons of {home.title}",
            trail=(*home.trail, Link("index.html", address)),
            here="neurons",
            canonical=absolute(self.context.atlas.site_url, f"{self.context.folder}/{self.view.folder}/{NEURONS}"),
            description=f"Weights of every neuron of {address}",
            previous=self._beside(home.previous),
            following=self._beside(home.following),
            up=Link("index.html", address),
        )
        return JoinedPage(common, address, sections, self.switch)

    def _beside(self, layer: Link | None) -> Link | None:
        """The page of the neurons of another layer; its own page where none has one."""
        if layer is None or not self.context.views[layer.name].chosen:
            return layer
        return Link(layer.href.replace("index.html", NEURONS), layer.name)

    def _picture(self, at: int, unit: int) -> Picture | None:
        """The picture of its weights at reading size; `at` is its place in the block."""
        if not self.pictures:
            return None
        uri = Markup(data_uri(self.pictures[at]))  # base64: nothing to escape
        return Picture(uri, *self.face_size, f"Picture of {self.facts.layer.address}:{unit}")

    def _weights(self, at: int, unit: int) -> Markup:
        """The same as an element of the page."""
        one = self._picture(at, unit)
        if one is None:
            return Markup("")
        return Markup('<img class=px src="{}" width={} height={} alt="{}">').format(*one)


def _face_size(facts: LayerFacts) -> tuple[int, int]:
    """Width and height of the picture that opens a neuron's page, in CSS pixels."""
    grid = face_grid(facts)
    rows, cols = (grid.rows, grid.cols) if grid else (1, 1)
    scale = scale_to(FACE_SIZE, rows, cols)
    return round(cols * scale), round(rows * scale)
