"""Faces made of numbers alone, for the tests of pages: each neuron's own colour, so that a picture in the wrong place shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import sample_facts as sample

from generator.analyses.pixels import RGB_SCALE, SIGNED_SCALE
from generator.records import AtlasFacts, Examples, Given, LayerFacts, Looks, Pixels, Pushes, Replacement

LAYER = 2  # of the sample's model: 'mixed', of 12 neurons, 8 of which have pages
INPUT = (32, 32)
ALL = ("weights", "pixels", "visualization", "examples", "picture")
BARE, SILENT = 4, 6  # neurons of it without pixels and without a given picture; without examples and with numbers that are none
TOP, SPREAD = 4, 3
FOREIGN = "gone<b>.png"


def shades(units: int, rows: int, cols: int) -> np.ndarray:
    """A picture of one grey for each unit, uint8 [unit, row, col, RGB]."""
    pictures = np.zeros((units, rows, cols, 3), np.uint8)
    pictures[...] = shade(np.arange(units))[:, None, None, None]
    return pictures


def shade(unit: np.ndarray | int) -> np.ndarray:
    """The grey of a unit."""
    return np.asarray(unit) * 20 % 256


def looks(units: int = 12, side: int = 64) -> Looks:
    """Feature visualizations."""
    return Looks(shades(units, side, side), np.arange(units, dtype=np.float32), np.ones(units, np.float32), 1000)


def pixels(units: int = 12, side: int = 9, kind: str = "rgb") -> Pixels:
    """Weights on the pixels, of all neurons but BARE."""
    there = np.arange(units) != BARE
    kept = np.linspace(0, 1, units).astype(np.float32)
    kept[0] = np.nan
    return Pixels(
        kind=kind,
        pixels=shades(units, side, side),
        there=there,
        size=(side + 2, side),
        shown=(side, side),
        place=(11, 12),
        stride=(2, 2),
        shrunk=1,
        limit=np.linspace(0, 1, units).astype(np.float32),
        kept=kept,
        scale=RGB_SCALE if kind == "rgb" else SIGNED_SCALE,
        replaced=(Replacement("pool", "MaxPool2d 3x3", "average pool 3x3"),),
        notes=tuple("" if here else "its receptive field is over 64 pixels wide" for here in there),
    )


def examples(units: int = 12, size: tuple[int, int] = (20, 20), top: int = TOP, spread: int = SPREAD) -> Examples:
    """Dataset examples, of all neurons but SILENT."""
    ranks = top + spread
    values = np.tile(np.linspace(9, 1, ranks, dtype=np.float32), (units, 1))
    images = np.tile(np.arange(ranks, dtype=np.int32), (units, 1))
    crops = np.repeat(shades(units, *size)[:, None], ranks, 1)
    counts = np.tile(np.arange(32, dtype=np.int32), (units, 1))
    first, low, high = np.zeros(units, np.float32), np.zeros(units, np.float32), np.full(units, 9, np.float32)
    if units > SILENT:
        values[SILENT], images[SILENT], crops[SILENT], counts[SILENT] = np.nan, -1, 0, 0
        first[SILENT], low[SILENT], high[SILENT] = np.nan, np.inf, -np.inf
    return Examples(
        crops=crops,
        activations=values,
        images=images,
        positions=np.where(images[..., None] >= 0, 3, -1).astype(np.int32).repeat(2, -1),
        boxes=np.zeros((units, ranks, 4), np.int32),
        top=top,
        names=tuple(f"{number}.jpg" for number in range(ranks)),
        size=INPUT,
        counts=counts,
        first=first,
        width=np.full(units, 0.5, np.float32),
        low=low,
        high=high,
        silent=np.arange(units, dtype=np.int32),
        seen=1000,
        refused=((FOREIGN, "is no picture"),),
        refused_count=2,
        remarks=(),
        notes=tuple("it is active on none of 1,000 pictures" if unit == SILENT else "" for unit in range(units)),
        credit=f"Somebody {sample.HOSTILE}",
        licence="CC BY 4.0",
    )


def given(units: int = 12, chosen: tuple[int, ...] = (0, 1, 8)) -> Given:
    """Pictures of some neurons, wide, high and tiny."""
    sizes = np.zeros((units, 2), np.int32)
    for unit, size in zip(chosen, ((40, 20), (20, 40), (5, 5)), strict=False):
        sizes[unit] = size
    images = shades(units, 40, 40)
    return Given(images, sizes, sizes[:, 0] > 0, (), (), (), "CC0", f"Artist {sample.HOSTILE}")


def pushes(units: int = 12) -> Pushes:
    """Classes, among the 7 of the sample's head; the last neuron pushes none."""
    up, down = (np.tile(np.array(row, np.int32), (units, 1)) for row in ((6, 1, -1), (2, 3, -1)))
    up[-1], down[-1] = -1, -1
    weight = np.tile(np.array([2.5, 0.25, np.nan], np.float32), (units, 1))
    return Pushes("head", up, weight, down, -weight, weight / 3, weight / 5, ("between",), ())


def with_faces(facts: LayerFacts, *kinds: str, order: tuple[str, ...] = ALL) -> LayerFacts:
    """A layer that has these faces; of 'pushes' the classes too."""
    units = facts.layer.neurons
    made = {
        "pixels": lambda: {"pixels": pixels(units)},
        "visualization": lambda: {"looks": looks(units)},
        "examples": lambda: {"examples": examples(units)},
        "picture": lambda: {"given": given(units)},
        "pushes": lambda: {"pushes": pushes(units)},
    }
    more = {name: value for kind in kinds if kind in made for name, value in made[kind]().items()}
    return replace(facts, order=order, **more)


def atlas_of(*kinds: str, order: tuple[str, ...] = ALL, **more: object) -> AtlasFacts:
    """The sample's atlas, its layer 'mixed' with these faces; `more` replaces fields of that layer."""
    model = sample.sample_model()
    mixed = replace(with_faces(model.layers[LAYER], *kinds, order=order), **more)
    return sample.atlas(replace(model, layers=(*model.layers[:LAYER], mixed, *model.layers[LAYER + 1 :])))
