"""The faces of a neuron on its own page: a figure for each at reading size, in their declared order, with what each is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from generator.pages import wording
from generator.pages.facebudget import Drawn
from generator.pages.facefiles import Part, Plan, more_count, placed, with_sheet
from generator.pages.faces import EXAMPLES, PICTURE, PIXELS, SAMPLED, VISUALIZATION, WEIGHTS, picture_size, read_pixels_at_once
from generator.pages.photographs import Photographs, credit_line, tile_rows
from generator.pages.pixelfields import PixelFields
from generator.records import LayerFacts

SHOWN = 224  # CSS pixels of the longer side of a figure
FURTHER = 4  # further visualizations to a line
MADE = (
    "An image was changed step by step, from noise, so that {} grows, with random shifts, turns and sizes on the way (Olah et "
    "al. 2017). It shows what drives the neuron; the weights show how."
)
GROWN = {"channel": "the neuron’s mean activation over its map", "centre": "the neuron’s activation in the middle of its map"}


class Portrait(NamedTuple):
    """One face of a neuron."""

    kind: str
    picture: Markup
    told: str  # what it is, in a line
    credit: str  # whose it is, '' where it needs none
    how: str  # how it was made, in more words; '' where there is nothing to say
    mark: str  # where the method says more

    @property
    def sampled(self) -> bool:
        """Whether it shows activations."""
        return self.kind in SAMPLED


class Portraits:
    """The faces of a layer's neurons."""

    def __init__(self, facts: LayerFacts, made: Drawn, input_size: tuple[int, int], face_line: str, face_how: str) -> None:
        """input_size: rows and cols of what the network reads; face_line, face_how: of the pictures of its weights."""
        self.facts, self.face_line, self.face_how = facts, face_line, face_how
        self.plan = made.plan
        self.order = {unit: position for position, unit in enumerate(with_sheet(facts).tolist())}
        self.several = any(self._has(kind) for kind in facts.order if kind != WEIGHTS)
        address = facts.layer.address
        self.at_once = PIXELS in facts.order and read_pixels_at_once(facts)
        drawn = facts.pixels if self._has(PIXELS) or self.at_once else None
        self.fields = PixelFields(drawn, made.fields, input_size, address) if drawn else None
        self.photographs = Photographs(facts.examples, address) if facts.examples and self._has(EXAMPLES) else None

    def _has(self, kind: str) -> bool:
        return kind in self.facts.order and picture_size(self.facts, kind) is not None

    def of(self, unit: int, weights: Markup) -> tuple[Portrait, ...]:
        """The faces of one neuron, that of its weights among them; none where it has no other."""
        if not self.several:
            return ()
        found = tuple(filter(None, (self._portrait(kind, unit, weights) for kind in self.facts.order)))
        return found if any(one.kind != WEIGHTS for one in found) else ()

    def _portrait(self, kind: str, unit: int, weights: Markup) -> Portrait | None:
        if kind == WEIGHTS:
            below = self.fields.below(unit) if self.fields and self.at_once and self.fields.there(unit) else ""
            return Portrait(kind, weights + below, self.face_line, "", self.face_how, "pictures") if weights else None
        if not self._has(kind):
            return None
        return {PIXELS: self._pixels, VISUALIZATION: self._visualization, EXAMPLES: self._examples, PICTURE: self._picture}[
            kind
        ](unit)

    def _pixels(self, unit: int) -> Portrait | None:
        if self.fields is None or not self.fields.there(unit):
            return None
        return Portrait(PIXELS, self.fields.picture(unit), self.fields.told(unit), "", self.fields.how(unit), "pixels")

    def _visualization(self, unit: int) -> Portrait | None:
        if self.facts.looks is None or self.plan is None or self.plan.visualization is None:
            return None
        part = self.plan.visualization
        picture = self._cut(unit, part, f"Feature visualization of {self.facts.layer.address}:{unit}")
        told = " ".join(filter(None, (self._measured(unit), self._others(), self._note(unit))))
        return Portrait(VISUALIZATION, picture + self._more(unit), told, "", self._made(), "visualization")

    @property
    def _has_map(self) -> bool:
        return self.facts.layer.map_size is not None

    def _made(self) -> str:
        """How feature visualizations were made."""
        assert self.facts.looks is not None
        return MADE.format(GROWN[self.facts.looks.objective] if self._has_map else "the neuron’s activation")

    def _more(self, unit: int) -> Markup:
        """Further visualizations, small: those that drive it up, then those that drive it down."""
        if self.plan is None or self.plan.more is None:
            return Markup("")
        further, down = self._further()
        name, (file, row) = f"{self.facts.layer.address}:{unit}", self._sheet(unit)
        groups = (
            (f"{wording.counted(further, 'further visualization')} of {name}", range(further)),
            (f"{wording.counted(down, 'visualization')} of what drives {name} down", range(further, further + down)),
        )
        return tile_rows(file, self.plan.width, self.plan.more, row, groups, FURTHER)

    def _further(self) -> tuple[int, int]:
        """How many further visualizations each neuron has, of what drives it up and of what drives it down."""
        count = more_count(self.facts)
        down = min(self.facts.looks.negative, count) if self.facts.looks else 0
        return count - down, down

    def _others(self) -> str:
        further, down = self._further()
        up = f"{further} further ones, unlike the first" if further > 1 else "a further one, unlike the first"
        said = (up if further else "", f"{down} that drive it down" if down > 1 else "one that drives it down" if down else "")
        return f"Below, {', and '.join(filter(None, said))}." if further or down else ""

    def _note(self, unit: int) -> str:
        notes = self.facts.looks.notes if self.facts.looks else ()
        return wording.sentence(notes[unit]) if notes and notes[unit] else ""

    def _measured(self, unit: int) -> str:
        """How strongly a feature visualization drives its neuron, beside photographs."""
        looks = self.facts.looks
        if looks is None:
            return ""
        own, best = float(looks.activations[unit]), float(looks.photographs[unit])
        beside = f"; of {looks.count:,} photographs {wording.plain(best)} at most" if looks.count and np.isfinite(best) else ""
        name = "Mean activation" if self._has_map else "Activation"
        measured = f" {name} {wording.plain(own)}{beside}." if np.isfinite(own) else ""
        return f"Feature visualization: an image made to drive it.{measured}"

    def _examples(self, unit: int) -> Portrait | None:
        if self.photographs is None or self.plan is None or self.plan.examples is None:
            return None
        seen = self.photographs
        return Portrait(
            EXAMPLES,
            seen.picture(unit, self._sheet(unit), self.plan.width, self.plan.examples),
            seen.told(unit),
            seen.credit,
            seen.how(unit),
            "examples",
        )

    def _picture(self, unit: int) -> Portrait | None:
        given = self.facts.given
        if given is None or self.plan is None or self.plan.picture is None or not given.there[unit]:
            return None
        part = self.plan.picture
        top, left, rows, cols = placed(tuple(given.sizes[unit].tolist()), part.rows, part.cols)
        own = Part(part.x + left, part.y + top, rows, cols)
        credit = credit_line(given.credit, given.licence)
        picture = self._cut(unit, own, f"Picture given for {self.facts.layer.address}:{unit}")
        return Portrait(PICTURE, picture, "A picture given with the atlas.", credit, "", "given")

    def _sheet(self, unit: int) -> tuple[str, int]:
        """The file that holds a neuron's sheet, and the row at which it begins."""
        assert self.plan is not None
        return self.plan.place(unit, self.order[unit])

    def _cut(self, unit: int, part: Part, alt: str) -> Markup:
        """A picture on a sheet, at reading size."""
        file, row = self._sheet(unit)
        return cut(self.plan, file, part._replace(y=part.y + row), alt)


def cut(plan: Plan | None, file: str, part: Part, alt: str) -> Markup:
    """Part of a sheet as an element of its own; all of it is numbers and our own names but `alt`."""
    scale = round(SHOWN / max(part.rows, part.cols), 3)
    place = f"--x:{part.x};--y:{part.y};--r:{part.rows};--c:{part.cols};--w:{plan.width if plan else 0};--s:{scale:g}"
    return Markup('<i class=part role=img aria-label="{}" style="{};background-image:url({})"></i>').format(
        alt, Markup(place), Markup(file)
    )
