"""The page of a layer: every neuron's picture in one grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from generator.addresses import pair_file
from generator.pages import wording
from generator.pages.common import Common, Link, ModelContext
from generator.pages.faces import WEIGHTS, Switch, switch_of
from generator.pages.sifting import Sifting, family_units, sifting
from generator.pages.strips import Tile, median_explained
from generator.pages.views import IN_STRIP, LayerView, face_style, link
from generator.records import LayerFacts, Pair

GRID_SIZES = ((128, 72), (512, 48), (1 << 30, 36))  # CSS pixels of a face on its layer's page, up to so many neurons


@dataclass(frozen=True)
class TileGroup:
    """Faces that stand together under one name."""

    name: str
    tiles: tuple[Tile, ...]


class Neighbour(NamedTuple):
    """A layer that this one reads or writes to."""

    address: str
    link: Link | None
    pair: str  # the page of the two; '' without one
    kernel: str
    how: str


@dataclass(frozen=True)
class LayerPage:
    """Everything the page of a layer says."""

    common: Common
    address: str
    facts: tuple[tuple[str, str], ...]
    explained: str
    shown: str  # what the pictures show, at what scale
    how: str  # how they and the numbers of the grid's controls were made
    note: Markup  # the user's, '' without one
    families: tuple[tuple[Link, int], ...]  # that have members here, and how many
    sifting: Sifting | None  # the controls of the grid
    groups: tuple[TileGroup, ...]
    pageless: int  # neurons without a page
    reads: tuple[Neighbour, ...]
    writes: tuple[Neighbour, ...]
    refused: tuple[str, ...]
    css: str
    styles: tuple[Markup, ...]
    switch: Switch  # that its grid can show


def layer_page(context: ModelContext, place: int) -> LayerPage:
    """The page of a layer: every neuron's picture in one grid."""
    facts = context.model.layers[place]
    view = context.views[facts.layer.address]
    target = next(size for most, size in GRID_SIZES if facts.layer.neurons <= most)
    return LayerPage(
        common=context.layer_common(place),
        address=facts.layer.address,
        facts=_layer_facts(facts),
        explained=_layer_explained(facts, context.atlas.factors),
        shown=wording.face_shown(facts, context.atlas.factors),
        how=_how(facts),
        note=context.note_on(facts.layer.address),
        families=tuple((link, len(units)) for link, units in family_units(context, facts)),
        sifting=sifting(context, facts),
        groups=tuple(_groups(facts, view)),
        pageless=facts.layer.neurons - len(facts.chosen),
        reads=tuple(_neighbour(context, pair, pair.weights.source) for pair in facts.reads),
        writes=tuple(_neighbour(context, pair, pair.weights.target) for pair in facts.writes),
        refused=facts.refused,
        css="named g" if facts.labels else "g",
        styles=(face_style("g", view, "", (target,), IN_STRIP, large=True),),
        switch=switch_of([view.faces]),
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


def _layer_explained(facts: LayerFacts, factors: int) -> str:
    """How well the pictures of a layer's weights tell them, where they are shown."""
    faces = facts.faces
    median = median_explained(faces)
    if not median or faces.factors is None or WEIGHTS not in facts.order:
        return ""
    noise = wording.percent(faces.factors.noise) if np.isfinite(faces.factors.noise) else "an unknown share"
    many = f"{wording.COUNTS[factors]} factors explain" if factors > 1 else "one factor explains"
    return f"In the median neuron {many} {median} of the squared weight; in noise of the same shape {noise}."


def _groups(facts: LayerFacts, view: LayerView) -> Iterator[TileGroup]:
    """The neurons of a layer; those of a concat stand by branch."""
    labels = [label.split(",")[0] for label in facts.labels] or [""] * facts.layer.neurons  # of many names the first
    tiles = [Tile(*link(view, unit, None, with_anchor=True, label=label)) for unit, label in enumerate(labels)]
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
    reader = context.views[pair.weights.target]
    page = f"../{reader.folder}/{pair_file(pair.weights.source)}" if reader.facts else ""
    return Neighbour(address, context.layer_link(address, "../"), page, kernel[:1].upper() + kernel[1:], how)


_NUMBERS = (
    "Norm is the square root of the sum of a neuron’s squared weights, batch norm folded in; explained, the share of that sum "
    "that its picture tells; sparsity, 0 where all its weights are alike in size and 1 where all but one are zero; similarity "
    "puts neurons beside those whose weights have the highest cosine with theirs."
)


def _how(facts: LayerFacts) -> str:
    """How the pictures of a layer were made, and the numbers that sort them."""
    return " ".join(filter(None, (wording.face_how(facts), _NUMBERS if facts.statistics else "")))
