"""A layer in a line: its name, its size and a strip of its neurons' faces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from generator.pages import wording
from generator.pages.common import Link, ModelContext
from generator.pages.faces import NAMES, OF_WEIGHTS, LayerFace, counterpart
from generator.pages.views import IN_STRIP, face_style, link, paired_style
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
    paired = " paired" if tiles and is_paired(view.faces) else ""
    return LayerEntry(where, line, f"{css}{view.css}{paired}", tiles, more)


def is_paired(faces: Sequence[LayerFace]) -> bool:
    """Whether the neurons of a layer are shown by their weights and by what they respond to."""
    return bool(faces) and counterpart(faces, faces[0].kind) is not None


def pairs_told(layers: Iterable[Sequence[LayerFace]]) -> str:
    """How the neurons of these layers are shown, where it is by two pictures each; '' where it is by one."""
    paired = [faces for faces in layers if is_paired(faces)]
    others = dict.fromkeys(next(NAMES[face.kind] for face in faces if face.kind not in OF_WEIGHTS) for faces in paired)
    return f"Neurons are shown twice, by their weights and by their {' or '.join(others)}." if others else ""


def strip_style(context: ModelContext, facts: LayerFacts, prefix: str, css: str) -> Markup:
    """The rules that show the faces of one layer's strip."""
    view = context.views[facts.layer.address]
    name, where = f"{css}{view.css}", f"{prefix}{view.folder}/"
    return face_style(name, view, where, (STRIP_SIZE,), IN_STRIP) + paired_style(name, view, where, STRIP_SIZE)


def median_explained(faces: Faces) -> str:
    """How much the median neuron's picture explains; '' where nothing was factored."""
    known = faces.factors.explained[np.isfinite(faces.factors.explained)] if faces.factors else np.zeros(0)
    return wording.percent(float(np.median(known))) if known.size else ""
