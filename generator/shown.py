"""What each page shows of a model, as plain values that a key is made of: of arrays digests, and nothing a page does not show.

So a page is made anew where something it shows is another, however that came about: a result that is worked out anew and is
the same changes nothing. What pages know of other layers is their names, which faces they have, and the order of their
neurons; of layers at the other end of connections, these connections.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from typing import Any

from generator.keeping.packing import pack
from generator.keeping.store import Store, key_of
from generator.pages.faces import layer_faces
from generator.pages.views import face_grid
from generator.records import AtlasFacts, LayerFacts, Results

Told = Any  # a record with a text in place of each array: its type, its shape and a digest of its bytes
Plain = Any  # what JSON holds


class Shown:
    """One model as its pages show it."""

    def __init__(self, results: Results, atlas: AtlasFacts, store: Store) -> None:
        self.results, self.plan, self.atlas, self.store = results, results.plan, atlas, store
        self.addresses = [plan.layer.address for plan in self.plan.layers]
        self.weights: list[Told] = [store.told(keys.weights) for keys in results.keys]
        self.tables: list[Told] = [store.told(keys.tables) for keys in results.keys]
        self.facts: list[dict[str, Told]] = [{name: store.told(key) for name, key in keys.facts} for keys in results.keys]

    # -- the pages

    def whole(self) -> Plain:
        """Everything that is known of the model."""
        layers = [
            (self._layer(place), _plain(self.weights[place]), _plain(self.tables[place]))
            for place in range(len(self.addresses))
        ]
        return [_plain(self.plan), layers, self.views(self.addresses), self.members(self.addresses)]

    def outline(self) -> Plain:
        """What the first page of the atlas, the jump box and the pages of families show of it but connections."""
        pictured = [_shape(facts["faces"].pixels) for facts in self.facts]
        pushed = any(facts.get("pushes") is not None for facts in self.facts)
        return [self.plan.name, self.views(self.addresses), pictured, pushed]

    def connections(self, addresses: Iterable[str]) -> Plain:
        """All connections of some layers."""
        asked = set(addresses)
        return [_plain(pair) for pair, _ in self._pairs if asked & {pair.source, pair.target}]

    def layer(self, place: int) -> Plain:
        """What the pages of a layer and of its neurons show, but the pages of pairs."""
        address, held, facts = self.addresses[place], self.weights[place], self.facts[place]
        reads = [_side(*each, "reads") for each in zip(held.weights, self.tables[place], strict=True)]
        writes = [_side(pair, tables, "writes") for pair, tables in self._pairs if pair.source == address]
        near = {address, *facts["faces"].sources, *(pair.source for pair in held.weights)}
        near |= {pair.target for pair, _ in self._pairs if pair.source == address}
        near |= {facts["pushes"].classes} if facts.get("pushes") is not None else set()
        return [self._among(place), self._layer(place), held.refused, reads, writes, self.views(near), self.members(near)]

    def pair(self, place: int, number: int) -> Plain:
        """What the page of a layer and one that it reads shows."""
        pair, tables = self.weights[place].weights[number], self.tables[place][number]
        ends = (pair.source, pair.target)
        at = self._order[ends]
        beside = [self._every[one] if 0 <= one < len(self._every) else None for one in (at - 1, at + 1)]
        scale = pair.source_scale if self.atlas.scaled_by_source else pair.source_scale is not None
        kernels = _plain(replace(pair, cancellation=None, source_scale=None))
        shown = [kernels, scale, tables.norms, tables.lean, [self._place(end) for end in ends]]
        return [self._among(place), beside, shown, self.views(ends), self.members(ends)]

    # -- what they show of a layer

    def _layer(self, place: int) -> Plain:
        """A layer itself, without its connections."""
        said = {name: _plain(told) for name, told in self.facts[place].items()}
        return [_plain(self.plan.layers[place].layer), self.results.orders[place], said]

    def _among(self, place: int) -> Plain:
        """A layer's place in its model, and what every page says of the model."""
        beside = range(max(place - 1, 0), min(place + 2, len(self.addresses)))
        return [self._model, place, [(self.addresses[one], len(self.results.chosen[one]) > 0) for one in beside]]

    @cached_property
    def _model(self) -> Plain:
        given = replace(self.plan.provenance, sha256="")  # told on the model's own page alone
        return [_plain(replace(self.plan, layers=(), looks="", provenance=given)), len(self.addresses)]

    def _place(self, address: str) -> Plain:
        """The order of a layer's neurons; none where it is not known."""
        place = self._at.get(address)
        found = None if place is None else self.facts[place].get("statistics")
        return None if found is None else found.place

    def views(self, addresses: Iterable[str]) -> list[str]:
        """Layers as any page shows them: names, sizes, which neurons have pages, which faces and where these lie."""
        return [self._views.get(address) or f"{address} {self._outside.get(address)}" for address in sorted(set(addresses))]

    @cached_property
    def _views(self) -> dict[str, str]:
        return {address: self._view(place) for place, address in enumerate(self.addresses)}

    def _view(self, place: int) -> str:
        plan, units = self.plan.layers[place], self.results.chosen[place]
        facts: dict[str, Any] = {name: self.store.get(key, trusted=True) for name, key in self.results.keys[place].facts}
        order = self.results.orders[place]
        made = LayerFacts(
            layer=plan.layer, chosen=units, labels=plan.labels, reads=(), writes=(), refused=(), order=order, **facts
        )
        faces = repr(layer_faces(made, face_grid(made)))
        return key_of(place=place, layer=_plain(plan.layer), labels=plan.labels, units=units.tolist(), faces=faces)

    def members(self, addresses: Iterable[str]) -> Plain:
        """The families that have members in some layers, in the order of the atlas, with these."""
        asked = set(addresses)
        return [
            (family.name, family.file, each.layer, each.units)
            for family in self.atlas.families
            for each in family.members
            if each.model == self.plan.name and each.layer in asked
        ]

    # -- connections

    @cached_property
    def _at(self) -> dict[str, int]:
        return {address: place for place, address in enumerate(self.addresses)}

    @cached_property
    def _pairs(self) -> list[tuple[Told, Told]]:
        """The weights and the tables of every pair of layers, in the order of their pages."""
        layers = zip(self.weights, self.tables, strict=True)
        return [pair for held, tables in layers for pair in zip(held.weights, tables, strict=True)]

    @cached_property
    def _every(self) -> list[tuple[str, str]]:
        return [(pair.source, pair.target) for pair, _ in self._pairs]

    @cached_property
    def _order(self) -> dict[tuple[str, str], int]:
        return {ends: at for at, ends in enumerate(self._every)}

    @cached_property
    def _outside(self) -> dict[str, str]:
        """Of layers that are read or written and are none of the atlas, how large they are."""
        return {end: _shape(pair.kernel) for pair, _ in self._pairs for end in (pair.source, pair.target)}


def _side(pair: Told, tables: Told, side: str) -> Plain:
    """A pair of layers as tables of one side show it: of kernels those in the table alone."""
    return [_plain(replace(pair, kernel=_shape(pair.kernel), source_scale=None)), _plain(getattr(tables, side))]


def _plain(told: Told) -> Plain:
    return pack(told)[0]


def _shape(told: str) -> str:
    """Type and shape of an array that is told."""
    return told.rpartition(" ")[0]
