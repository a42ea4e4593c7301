"""Finished facts to records of pages: every number already words, every link already relative. Templates only place them.

The page of a neuron has a module of its own, `neuron_page`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from generator import wording
from generator.addresses import anchor, folder, neuron_file
from generator.records import AtlasFacts, Branch, Faces, LayerFacts, ModelFacts, Pair
from generator.views import IN_STRIP, LayerView, layer_views, link, sprite_style

STRIP = 18  # faces that stand for a layer on the model's page
MOSAIC = 5  # layers that stand for a model on the atlas's index
STRIP_SIZE = 36  # CSS pixels of such a face
GRID_SIZES = ((128, 72), (512, 48), (1 << 30, 36))  # CSS pixels of a face on its layer's page, up to so many neurons


class Link(NamedTuple):
    """A place to go, and what it is called."""

    href: str
    name: str


@dataclass(frozen=True)
class Common:
    """What every page has."""

    root: str  # relative way to the folder of the site
    title: str
    trail: tuple[Link, ...]  # from the atlas down to the page above this one
    here: str  # name of this page in the trail
    canonical: str  # absolute address, '' without a site_url
    provenance: str = ""  # where the weights came from; '' outside a model
    layers: int = 0  # layers of the model, 0 outside
    place: int = -1  # which of them this page is about; -1 for none
    previous: Link | None = None
    following: Link | None = None
    up: Link | None = None


class Tile(NamedTuple):
    """A face in a grid, with its name."""

    lead: Markup
    tail: Markup


@dataclass(frozen=True)
class TileGroup:
    """Faces that stand together under one name."""

    name: str
    tiles: tuple[Tile, ...]


class Neighbour(NamedTuple):
    """A layer that this one reads or writes to."""

    address: str
    link: Link | None
    kernel: str
    how: str


@dataclass(frozen=True)
class LayerPage:
    """Everything the page of a layer says."""

    common: Common
    address: str
    facts: tuple[tuple[str, str], ...]
    explained: str
    face_line: str
    groups: tuple[TileGroup, ...]
    pageless: int  # neurons without a page
    reads: tuple[Neighbour, ...]
    writes: tuple[Neighbour, ...]
    refused: tuple[str, ...]
    css: str
    styles: tuple[Markup, ...]


@dataclass(frozen=True)
class LayerEntry:
    """A layer on the page of its model."""

    link: Link
    kind: str
    facts: str
    explained: str  # median, as '78%'; '' where nothing was factored
    reads: str
    css: str
    tiles: tuple[Tile, ...]
    more: str  # how many neurons the strip leaves out


@dataclass(frozen=True)
class ModelPage:
    """Everything the page of a model says."""

    common: Common
    name: str
    summary: str
    provenance: tuple[tuple[str, str], ...]
    layers: tuple[LayerEntry, ...]
    styles: tuple[Markup, ...]


@dataclass(frozen=True)
class ModelEntry:
    """A model on the index of the atlas."""

    link: Link
    summary: str
    layers: tuple[LayerEntry, ...]


@dataclass(frozen=True)
class IndexPage:
    """Everything the first page says."""

    common: Common
    description: str
    models: tuple[ModelEntry, ...]
    styles: tuple[Markup, ...]


@dataclass(frozen=True)
class AliasPage:
    """A second address of a neuron or a layer, leading to the first."""

    root: str
    address: str
    same_as: str
    href: str
    canonical: str


def absolute(site_url: str, path: str) -> str:
    """The address of a page where the site is published; '' where that is not known."""
    return f"{site_url.rstrip('/')}/{path}" if site_url else ""


class ModelContext:
    """A model and what its pages share: the views of its layers, its provenance, its place in the atlas."""

    def __init__(self, atlas: AtlasFacts, model: ModelFacts) -> None:
        self.atlas, self.model, self.folder = atlas, model, folder(model.name)
        self.views = layer_views(model)
        self.provenance = wording.provenance_line(model.provenance)

    def model_common(self) -> Common:
        """What the model's own page has in common with all others."""
        trail = (Link("../index.html", self.atlas.title),)
        canonical = absolute(self.atlas.site_url, f"{self.folder}/index.html")
        return Common("../", self.model.name, trail, self.model.name, canonical, self.provenance, len(self.model.layers))

    def layer_common(self, place: int) -> Common:
        """What the page of a layer has in common with all others."""
        layers = self.model.layers
        address = layers[place].layer.address
        trail = (Link("../../index.html", self.atlas.title), Link("../index.html", self.model.name))
        before = self.layer_link(layers[place - 1].layer.address, "../") if place else None
        after = self.layer_link(layers[place + 1].layer.address, "../") if place + 1 < len(layers) else None
        return Common(
            root="../../",
            title=f"{address} · {self.model.name}",
            trail=trail,
            here=address,
            canonical=absolute(self.atlas.site_url, f"{self.folder}/{folder(address)}/index.html"),
            provenance=self.provenance,
            layers=len(layers),
            place=place,
            previous=before,
            following=after,
            up=Link("../index.html", self.model.name),
        )

    def layer_link(self, address: str, prefix: str) -> Link | None:
        """The page of a layer; None where it has none."""
        view = self.views.get(address)
        return Link(f"{prefix}{view.folder}/index.html", address) if view and view.facts else None


def index_page(atlas: AtlasFacts, contexts: Sequence[ModelContext]) -> IndexPage:
    """The first page: every model with a few of its layers."""
    entries, styles = [], []
    for number, context in enumerate(contexts):
        css = f"m{number}"
        pictured = [facts for facts in context.model.layers if facts.faces.pixels.size]
        shown = pictured or [facts for facts in context.model.layers if context.views[facts.layer.address].grid]
        picked = [shown[at] for at in _spread(len(shown), MOSAIC)]
        layers = tuple(_entry(context, facts, f"{context.folder}/", css) for facts in picked)
        entries.append(ModelEntry(Link(f"{context.folder}/index.html", context.model.name), summary(context.model), layers))
        styles += [_strip_style(context, facts, f"{context.folder}/", css) for facts in picked]
    common = Common("", atlas.title, (), atlas.title, absolute(atlas.site_url, "index.html"))
    return IndexPage(common, atlas.description, tuple(entries), tuple(styles))


def model_page(context: ModelContext) -> ModelPage:
    """The page of a model: its layers in order, each with a strip of its neurons."""
    model, given = context.model, context.model.provenance
    facts = (
        ("Source", given.source),
        ("Weights", given.weights),
        ("SHA-256", given.sha256),
        ("Made with", ", ".join(f"{package} {version}" for package, version in given.versions)),
        ("Input", " × ".join(map(str, model.input_shape))),
    )
    layers = tuple(_entry(context, layer, "", "m") for layer in model.layers)
    styles = tuple(_strip_style(context, layer, "", "m") for layer in model.layers)
    provenance = tuple((term, said) for term, said in facts if said)
    return ModelPage(context.model_common(), model.name, summary(model), provenance, layers, styles)


def summary(model: ModelFacts) -> str:
    """The size of a model, in a line."""
    neurons = sum(facts.layer.neurons for facts in model.layers)
    return f"{wording.counted(len(model.layers), 'layer')}, {wording.counted(neurons, 'neuron')}"


def _spread(count: int, wanted: int) -> list[int]:
    """At most `wanted` places of `count`, evenly from the first to the last."""
    if count <= wanted:
        return list(range(count))
    return [round(at * (count - 1) / (wanted - 1)) for at in range(wanted)]


def _entry(context: ModelContext, facts: LayerFacts, prefix: str, css: str) -> LayerEntry:
    """A layer as its model's page shows it; `prefix` leads to the model's folder."""
    layer, view = facts.layer, context.views[facts.layer.address]
    shown = _spread(layer.neurons, STRIP) if view.grid else []
    tiles = tuple(Tile(*link(view, unit, f"{prefix}{view.folder}/")) for unit in shown)
    size = wording.size(layer.kernel) if layer.kernel else ""
    line = " · ".join(filter(None, (wording.counted(layer.neurons, "neuron"), size)))
    reads = f"reads {wording.listed(layer.reads)}" if layer.reads else ""
    more = f"{layer.neurons - len(tiles):,} more" if tiles and layer.neurons > len(tiles) else ""
    where = Link(f"{prefix}{view.folder}/index.html", layer.address)
    return LayerEntry(where, layer.kind, line, median_explained(facts.faces), reads, f"{css}{view.css}", tiles, more)


def _strip_style(context: ModelContext, facts: LayerFacts, prefix: str, css: str) -> Markup:
    """The rule that shows the faces of one layer's strip."""
    view = context.views[facts.layer.address]
    return sprite_style(f"{css}{view.css}", view.grid, f"{prefix}{view.folder}/faces.png", STRIP_SIZE, IN_STRIP)


def median_explained(faces: Faces) -> str:
    """How much the median neuron's picture explains; '' where nothing was factored."""
    known = faces.factors.explained[np.isfinite(faces.factors.explained)] if faces.factors else np.zeros(0)
    return wording.percent(float(np.median(known))) if known.size else ""


def layer_page(context: ModelContext, place: int) -> LayerPage:
    """The page of a layer: every neuron's picture in one grid."""
    facts = context.model.layers[place]
    view = context.views[facts.layer.address]
    target = next(size for most, size in GRID_SIZES if facts.layer.neurons <= most)
    return LayerPage(
        common=context.layer_common(place),
        address=facts.layer.address,
        facts=_layer_facts(facts),
        explained=_layer_explained(facts.faces, context.atlas.factors),
        face_line=wording.face_line(facts.faces, context.atlas.factors, facts.layer.kind),
        groups=tuple(_groups(facts, view)),
        pageless=facts.layer.neurons - len(facts.chosen),
        reads=tuple(_neighbour(context, pair, pair.weights.source) for pair in facts.reads),
        writes=tuple(_neighbour(context, pair, pair.weights.target) for pair in facts.writes),
        refused=facts.refused,
        css="g",
        styles=(sprite_style("g", view.grid, "faces.png", target, IN_STRIP),),
    )


def _layer_facts(facts: LayerFacts) -> tuple[tuple[str, str], ...]:
    """What a layer is, term by term."""
    layer = facts.layer
    said = (
        ("Kind", layer.kind),
        ("Neurons", f"{layer.neurons:,}"),
        ("Kernel", wording.size(layer.kernel) if layer.kernel else ""),
        ("Stride", wording.size(layer.stride) if layer.stride else ""),
        ("Map", wording.size(layer.map_size) if layer.map_size else ""),
        ("Parameters", f"{layer.parameters:,}" if layer.parameters else ""),
        ("Also named", wording.listed(layer.aliases)),
    )
    return tuple((term, value) for term, value in said if value)


def _layer_explained(faces: Faces, factors: int) -> str:
    """How well the pictures of a layer tell its weights."""
    median = median_explained(faces)
    if not median or faces.factors is None:
        return ""
    noise = wording.percent(faces.factors.noise) if np.isfinite(faces.factors.noise) else "an unknown share"
    many = f"{wording.COUNTS[factors]} factors explain" if factors > 1 else "one factor explains"
    return f"In the median neuron {many} {median} of the squared weight; in noise of the same shape {noise}."


def _groups(facts: LayerFacts, view: LayerView) -> Iterator[TileGroup]:
    """The neurons of a layer; those of a concat stand by branch."""
    tiles = [Tile(*link(view, unit, "", with_anchor=True)) for unit in range(facts.layer.neurons)]
    at = 0
    for branch in sorted(facts.layer.branches, key=lambda one: one.start):
        if branch.start > at:
            yield TileGroup("", tuple(tiles[at : branch.start]))
        if branch.stop > max(at, branch.start):
            start = max(at, branch.start)
            yield TileGroup(branch.address, tuple(tiles[start : branch.stop]))
        at = max(at, branch.stop)
    if at < len(tiles):
        yield TileGroup("", tuple(tiles[at:]))


def _neighbour(context: ModelContext, pair: Pair, address: str) -> Neighbour:
    """A layer at the other end, and how the weights between the two were had."""
    kernel, how = wording.kernel_line(pair.weights), wording.how_obtained(pair.weights)
    return Neighbour(address, context.layer_link(address, "../"), kernel, how)


def aliased(model: ModelFacts) -> Iterator[tuple[LayerFacts, Branch]]:
    """The branches of concats that get aliases.

    A branch that is a layer of the atlas itself has pages of its own and gets none; of several concats the first counts.
    """
    taken = {folder(facts.layer.address) for facts in model.layers}
    for facts in model.layers:
        for branch in facts.layer.branches:
            if folder(branch.address) not in taken:
                taken.add(folder(branch.address))
                yield facts, branch


def branch_units(facts: LayerFacts, branch: Branch) -> list[int]:
    """The neurons of a branch that have pages, by their number in the concat."""
    return facts.chosen[(facts.chosen >= branch.start) & (facts.chosen < branch.stop)].tolist()


def alias_pages(context: ModelContext) -> Iterator[tuple[str, AliasPage]]:
    """Pages that lead from the branches of concats to the neurons they made: path from the model's folder, and page."""
    for facts, branch in aliased(context.model):
        layer, there, where = facts.layer.address, folder(facts.layer.address), folder(branch.address)
        index = f"{there}/index.html"
        yield f"{where}/index.html", _alias(context, branch.address, layer, index, f"#{anchor(branch.start)}")
        for unit in branch_units(facts, branch):
            own = unit - branch.start
            page = _alias(context, f"{branch.address}:{own}", f"{layer}:{unit}", f"{there}/{neuron_file(unit)}")
            yield f"{where}/{neuron_file(own)}", page


def _alias(context: ModelContext, address: str, same_as: str, path: str, mark: str = "") -> AliasPage:
    """A page that leads to `path`, from the model's folder, and to the place `mark` on it."""
    return AliasPage(
        "../../", address, same_as, f"../{path}{mark}", absolute(context.atlas.site_url, f"{context.folder}/{path}")
    )


def grid_link(unit: int) -> Link:
    """A neuron's place on its layer's page, from its own."""
    return Link(f"index.html#{anchor(unit)}", "in the grid")
