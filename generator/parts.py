"""The parts of a site, each with a key of everything its bytes depend on: what has the key it had is not rendered again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from generator.addresses import folder
from generator.authored.prose import Places
from generator.facts import places_of_results
from generator.inputs import look_inputs
from generator.keeping.code import code_digest
from generator.keeping.files import Digests
from generator.keeping.packing import pack
from generator.keeping.store import Store, key_of
from generator.look import Look
from generator.records import AtlasFacts, Family, LayerKeys, Results
from generator.rendering import ROOT, PartTask

SITEMAP = "sitemap"  # the part that lists the pages of all others


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
                yield self._task(f"{name}/{folder(plan.layer.address)}", place, (one,), self._layer_key(one, place), common)

    def _common(self, models: tuple[Results, ...]) -> tuple[str, Places]:
        """What parts about the same models have in common: made once, for there are many of them."""
        shared = key_of(
            frame=self._frame, models=[self._keys(one) for one in models], text=pack((self.atlas.families, self.atlas.notes))[0]
        )
        noted = any(note.model == one.plan.name for one in models for note in self.atlas.notes)
        return shared, self._all_places if noted or len(models) > 1 else self._places(models)

    def _task(self, name: str, place: int, models: tuple[Results, ...], key: str, common: tuple[str, Places]) -> PartTask:
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
    def _root_key(self) -> str:
        words, _ = pack((self.atlas.families, self.atlas.notes))
        return key_of(frame=self._frame, models=[self._keys(one) for one in self.results], words=words)

    def _model_key(self, one: Results) -> str:
        return key_of(frame=self._frame, model=self._keys(one), outline=self._outlines[one.plan.name], words=self._words(one))

    def _layer_key(self, one: Results, place: int) -> str:
        """Of a layer: itself and its neighbours, with an outline of all others, which it may link to and show faces of."""
        plan = one.plan.layers[place]
        address = plan.layer.address
        near = {address, *plan.outside, *plan.inside}
        near |= {each.layer.address for each in one.plan.layers if address in (*each.outside, *each.inside)}
        return key_of(
            frame=self._frame,
            place=place,
            layers=[self._key(keys) for keys in one.keys if keys.address in near],
            outline=self._outlines[one.plan.name],
            words=self._words(one, address),
        )

    @cached_property
    def _outlines(self) -> dict[str, str]:
        return {one.plan.name: self._outline(one) for one in self.results}

    def _outline(self, one: Results) -> str:
        """What any page of a model may say of any of its layers: names, sizes, which neurons have pages, the size of faces."""
        plan = one.plan
        layers = [
            (pack(each.layer)[0], each.labels, units.tolist(), self._faces(keys))
            for each, units, keys in zip(plan.layers, one.chosen, one.keys, strict=True)
        ]
        given = replace(plan.provenance, sha256="")  # told on the model's own page alone
        return key_of(name=plan.name, provenance=pack(given)[0], shape=plan.input_shape, layers=layers)

    def _faces(self, keys: LayerKeys) -> list[object]:
        """The shapes of all that is pictured of a layer."""
        found: list[object] = []
        for name, key in keys.facts:
            _, arrays = pack(self.store.get(key, trusted=True))
            found.append((name, [each.shape for each in arrays]))
        return found

    def _keys(self, one: Results) -> list[object]:
        """Everything that pages say of a model, as keys."""
        chosen = [units.tolist() for units in one.chosen]
        return [pack(one.plan)[0], chosen, [self._key(keys) for keys in one.keys]]

    def _key(self, keys: LayerKeys) -> object:
        """What is said of a layer, as keys; what there is nothing of is the same whatever there is nothing of it for."""
        there = ((name, key if self.store.get(key, trusted=True) is not None else "") for name, key in keys.facts)
        return pack(replace(keys, facts=tuple(there)))[0]

    def _words(self, one: Results, address: str = "") -> list[object]:
        """What the user says of a model's neurons: the members of families, and the notes on one layer or on all."""
        name = one.plan.name
        members = [_members(family, name) for family in self.atlas.families]
        notes = [note for note in self.atlas.notes if note.model == name and address in ("", note.layer)]
        return [members, pack(tuple(notes))[0], self._outlines if notes else None]  # a note may link to any layer


def _members(family: Family, model: str) -> list[object]:
    return [family.name, *((each.layer, each.units) for each in family.members if each.model == model)]
