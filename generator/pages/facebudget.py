"""What the faces of a layer's neurons take, and how they are kept within the budget of the spec.

The faces of a layer are made at the first of LEVELS at which they fit on average, or at the last. What a level comes to is
found out by making it; but where the first does not fit, those that a sample of the neurons says do not either are passed over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil
from typing import NamedTuple

import numpy as np

from generator.pages.facefiles import LEVELS, Level, Plan, grid_sprites, row_sprites, sheet, sheet_plan, sheets, with_sheet
from generator.pages.faces import PIXELS, SPRITE, WEIGHTS, there
from generator.pages.pixelfields import field_uri
from generator.pages.views import LayerView, face_tiles, has_bars
from generator.photos import QUICK, webp
from generator.pictures import data_uri, pngs, sprite, sprite_png
from generator.records import LayerFacts

SAMPLE = 24  # neurons, about, from which is told what a further level comes to


class Taken(NamedTuple):
    """The bytes of all faces of a layer's neurons. Everything that is a picture of a neuron counts.

    These are the sprites, that of the weights among them, of which each neuron of the layer takes its share; the sheets; and
    what stands in pages as a data URI, at its length there: the weights on the pixels, and the picture of the weights at
    reading size. Not counted are the kernels in tables, the card of a layer, and what is drawn or said in words, such as
    histograms of activations and the classes that a neuron pushes.
    """

    sprites: int
    sheets: int
    fields: int  # the weights on the pixels, in pages
    pictures: int  # those of the weights, in pages
    neurons: int  # of the layer
    pages: int  # of these, those that have one

    @property
    def each(self) -> int:
        """Bytes of a neuron with a page, on average; rounded up."""
        return ceil(self.sprites / self.neurons + (self.sheets + self.fields + self.pictures) / max(1, self.pages))

    @property
    def all(self) -> int:
        """Bytes of all neurons with a page together."""
        return round(self.sprites * self.pages / self.neurons) + self.sheets + self.fields + self.pictures


@dataclass(frozen=True)
class Drawn:
    """The faces of a layer, made."""

    plan: Plan | None  # of its sheets
    files: tuple[tuple[str, bytes], ...]  # sprites and sheets, from its model's folder
    pictures: Sequence[bytes]  # of the weights, at reading size: a PNG for each neuron with a page, or none
    fields: Mapping[int, str]  # addresses that hold the weights on the pixels, by unit
    taken: Taken
    least: int = 0  # the smallest budget with which all of this is the same
    below: int | None = None  # and the one from which on it is no more; None for none


def fitted_faces(facts: LayerFacts, view: LayerView) -> Drawn:
    """The faces of a layer, within the budget if they are at any of LEVELS."""
    maker, budget = FaceMaker(facts, view), facts.face_budget
    found = maker.made(LEVELS[0])
    best, need = found.taken, found.taken.each
    if need <= budget:
        return replace(found, least=need)
    past = need  # the least that any level needs which does not fit
    for level in LEVELS[1:-1]:
        need = maker.guess(level, best)
        if need <= budget:
            found = maker.made(level)
            need = max(need, found.taken.each)
            if need <= budget:
                return replace(found, least=need, below=past)
        past = min(past, need)
    return replace(maker.made(LEVELS[-1]), below=past)


class FaceMaker:
    """Makes the faces of one layer; what is the same at every level is made once."""

    def __init__(self, facts: LayerFacts, view: LayerView) -> None:
        self.facts, self.view = facts, view

    def made(self, level: Level) -> Drawn:
        """All of them at a level."""
        facts, view = self.facts, self.view
        sprites = {**self._weights, **self._rows, **grid_sprites(facts, level)}
        found, fields = tuple(sheets(facts, view, level)), {unit: self._field(unit, level) for unit in self._with_field}
        taken = Taken(
            sprites=sum(map(len, sprites.values())),
            sheets=sum(len(content) for _, content in found),
            fields=sum(map(len, fields.values())),
            pictures=sum(len(data_uri(each)) for each in self._pictures),
            neurons=facts.layer.neurons,
            pages=len(facts.chosen),
        )
        files = (*((f"{view.folder}/{name}", content) for name, content in sprites.items()), *found)
        return Drawn(sheet_plan(facts, view.per_layer, level.size), files, self._pictures, fields, taken)

    def guess(self, level: Level, best: Taken) -> int:
        """Bytes of a neuron at a level, told from a sample of them and from what all of them take at the first."""
        sprites = {**self._weights, **self._rows, **grid_sprites(self.facts, level)}
        of_sheets, of_fields = (now / max(1, first) for now, first in zip(self._sampled(level), self._sample, strict=True))
        return best._replace(
            sprites=sum(map(len, sprites.values())),
            sheets=ceil(best.sheets * of_sheets),
            fields=ceil(best.fields * of_fields),
        ).each

    @cached_property
    def _sample(self) -> tuple[int, int]:
        return self._sampled(LEVELS[0])

    def _sampled(self, level: Level) -> tuple[int, int]:
        """Bytes of the sheets of some neurons at a level, and of their weights on the pixels."""
        plan = sheet_plan(self.facts, scale=level.size)
        units = _some(with_sheet(self.facts).tolist()) if plan else []
        pages = (webp(sheet(self.facts, plan, unit), QUICK, quality=level.sheet) for unit in units) if plan else ()
        return sum(map(len, pages)), sum(len(self._field(unit, level)) for unit in _some(self._with_field))

    @cached_property
    def _weights(self) -> dict[str, bytes]:
        """The sprite of the weights, in the layer's folder."""
        tiles = face_tiles(self.facts)
        return {} if tiles is None else {SPRITE: sprite_png(sprite(tiles)[0])}

    @cached_property
    def _rows(self) -> dict[str, bytes]:
        return row_sprites(self.facts)

    @cached_property
    def _pictures(self) -> Sequence[bytes]:
        """The pictures of the weights that stand in pages; bars stand there themselves, with their names."""
        tiles = face_tiles(self.facts)
        if tiles is None or has_bars(self.facts.faces) or WEIGHTS not in self.facts.order:
            return ()
        return pngs(np.asarray(tiles)[self.facts.chosen])

    @cached_property
    def _with_field(self) -> list[int]:
        """The units whose pages show their weights on the pixels: on a page with no other face that of the weights is alone."""
        facts, pixels = self.facts, self.facts.pixels
        if PIXELS not in facts.order or pixels is None or not pixels.pixels.size:
            return []
        shown = np.array(there(facts, PIXELS))
        shown[with_sheet(facts)] = True
        return facts.chosen[(shown & pixels.there)[facts.chosen]].tolist()

    def _field(self, unit: int, level: Level) -> str:
        assert self.facts.pixels is not None
        return field_uri(self.facts.pixels, unit, level.field)


def _some(units: Sequence[int]) -> Sequence[int]:
    """A few of some units, spread evenly."""
    return units[:: -(-len(units) // SAMPLE) or 1]
