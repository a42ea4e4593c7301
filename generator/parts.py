"""The parts of a site, each with a key of everything its files show: what has the key it had is not rendered again.

The pages of a layer and its neurons are a part, and each page of a pair of layers is one: what changes in one layer is on a few
pages of others.

The budget of faces is in none of the keys: a part tells with which budgets it would be the same (`keeping.history.Pictured`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from generator.addresses import folder, pair_file
from generator.authored.prose import Places
from generator.facts import places_of_results
from generator.inputs import look_inputs
from generator.keeping.code import code_digest
from generator.keeping.files import Digests
from generator.keeping.packing import pack
from generator.keeping.store import Store, key_of
from generator.look import Look
from generator.records import AtlasFacts, Results
from generator.rendering import ROOT, PartTask
from generator.shown import Shown

SITEMAP = "sitemap"  # the part that lists the pages of all others
Common = tuple[str, Places]  # what parts about the same models have in common: a digest of it, what notes may link to


@dataclass(frozen=True)
class Parts:
    """What a site is made of, and where it goes."""

    atlas: AtlasFacts  # without its models
    results: tuple[Results, ...]
    look: Look
    digests: Digests
    store: Store

    def tasks(self) -> Iterator[PartTask]:
        """Every part but the sitemap, in the order of the site; where its files go and what stands of them is not said yet."""
        yield self._task(ROOT, -1, self.results, self._root_key, self._common(self.results))
        for one in self.results:
            name, common = folder(one.plan.name), self._common((one,))
            yield self._task(name, -1, (one,), self._model_key(one), common)
            for place, plan in enumerate(one.plan.layers):
                own = f"{name}/{folder(plan.layer.address)}"
                yield self._task(own, place, (one,), self._layer_key(one, place), common)
                yield from self._pair_tasks(own, place, one, common)

    def _pair_tasks(self, layer: str, place: int, one: Results, common: Common) -> Iterator[PartTask]:
        """The parts that are pages of pairs, of one layer with each that it reads."""
        shown = self._shown[one.plan.name]
        for number, pair in enumerate(shown.weights[place].weights):
            key = key_of(frame=self._frame, pair=shown.pair(place, number))
            yield replace(self._task(f"{layer}/{pair_file(pair.source)}", place, (one,), key, common), pair=number)

    def _common(self, models: tuple[Results, ...]) -> Common:
        """What parts about the same models have in common: made once, for there are many of them."""
        shared = key_of(
            frame=self._frame,
            models=[_made_of(one) for one in models],
            text=pack((self.atlas.families, self.atlas.notes))[0],
        )
        noted = any(note.model == one.plan.name for one in models for note in self.atlas.notes)
        return shared, self._all_places if noted or len(models) > 1 else self._places(models)

    def _task(self, name: str, place: int, models: tuple[Results, ...], key: str, common: Common) -> PartTask:
        return PartTask(name, place, self.atlas, models, *common, self.look, self.store.folder, self.store.address, "", key, ())

    @cached_property
    def _all_places(self) -> Places:
        return self._places(self.results)

    def _places(self, models: Sequence[Results]) -> Places:
        return Places(
            places_of_results(models),
            {family.name.lower(): family.file for family in self.atlas.families},
            self.atlas.per_layer,
        )

    @cached_property
    def _frame(self) -> str:
        """What goes for every page: the words on the atlas, the look, the code."""
        atlas, _ = pack(replace(self.atlas, families=(), notes=()))
        return key_of(
            atlas=atlas,
            families=[(family.name, family.file) for family in self.atlas.families],
            look=look_inputs(self.look, self.digests),
            code=code_digest("generator.rendering"),
        )

    @cached_property
    def _shown(self) -> dict[str, Shown]:
        return {one.plan.name: Shown(one, self.atlas, self.store) for one in self.results}

    @cached_property
    def _root_key(self) -> str:
        """Of models their layers and faces; the pages of families also show connections of the layers they have members in."""
        families = self.atlas.families
        layers = {name: [each.layer for one in families for each in one.members if each.model == name] for name in self._shown}
        return key_of(
            frame=self._frame,
            models=[one.outline() for one in self._shown.values()],
            families=pack(families)[0],
            connections=[one.connections(layers[name]) for name, one in self._shown.items()],
        )

    def _model_key(self, one: Results) -> str:
        return key_of(frame=self._frame, model=self._shown[one.plan.name].whole())

    def _layer_key(self, one: Results, place: int) -> str:
        name, address = one.plan.name, one.plan.layers[place].layer.address
        notes = tuple(note for note in self.atlas.notes if note.model == name and note.layer == address)
        linked = self._linked if notes else None
        return key_of(frame=self._frame, layer=self._shown[name].layer(place), notes=pack(notes)[0], linked=linked)

    @cached_property
    def _linked(self) -> list[object]:
        """What a note may link to: any neuron of any model."""
        return [(name, one.views(one.addresses)) for name, one in self._shown.items()]


def _made_of(one: Results) -> list[object]:
    """A model as the keys of its results."""
    return [pack(one.plan)[0], [units.tolist() for units in one.chosen], one.orders, one.face_budget, pack(one.keys)[0]]
