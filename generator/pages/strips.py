"""A layer in a line: its name, its size and a strip of its neurons' faces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from generator.pages import wording
from generator.pages.common import Link, ModelContext
from generator.pages.views import IN_STRIP, face_style, link
from generator.records import Faces, LayerFacts

STRIP = 18  # faces that stand for a layer on the model's page
STRIP_SIZE = 36  # CSS pixels of such a face


class Tile(NamedTuple):
    """A face in a grid, with its name."""

    lead: Markup
    tail: Markup


@dataclass(frozen=True)
class LayerEntry:
    """A layer on the page of its model."""

    link: Link
    facts: str
    css: str
    tiles: tuple[Tile, ...]
    more: str  # how many neurons the strip leaves out


def spread(count: int, wanted: int) -> list[int]:
    """At most `wanted` places of `count`, evenly from the first to the last."""
    if count <= wanted:
        return list(range(count))
    return [round(at * (count - 1) / (wanted - 1)) for at in range(wanted)]


def layer_entry(context: ModelContext, facts: LayerFacts, prefix: str, css: str) -> LayerEntry:
    """A layer as its model's page shows it; `prefix` leads to the model's folder."""
    layer, view = facts.layer, context.views[facts.layer.address]
    shown = spread(layer.neurons, STRIP) if view.grid else []
    tiles = tuple(Tile(*link(view, unit, prefix)) for unit in shown)
    line = f"{layer.kind} · {wording.counted(layer.neurons, 'neuron')}" if layer.kind != "input" else ""
    more = f"{layer.neurons - len(tiles):,} more" if tiles and layer.neurons > len(tiles) else ""
    where = Link(f"{prefix}{view.folder}/index.html", layer.address)
    return LayerEntry(where, line, f"{css}{view.css}", tiles, more)


def strip_style(context: ModelContext, facts: LayerFacts, prefix: str, css: str) -> Markup:
    """The rule that shows the faces of one layer's strip."""
    view = context.views[facts.layer.address]
    return face_style(f"{css}{view.css}", view, f"{prefix}{view.folder}/", (STRIP_SIZE,), IN_STRIP)


def median_explained(faces: Faces) -> str:
    """How much the median neuron's picture explains; '' where nothing was factored."""
    known = faces.factors.explained[np.isfinite(faces.factors.explained)] if faces.factors else np.zeros(0)
    return wording.percent(float(np.median(known))) if known.size else ""
