"""Faces that take long, before they are made: a picture of the bundled network in their place, of the size asked for."""

from __future__ import annotations

import json
from functools import cache

import numpy as np

from generator.facespec import FacesSpec, ImagesSpec, VisualizationSpec
from generator.keeping.code import PACKAGE
from generator.photos import read_pixels, shrunk
from generator.records import Examples, Looks

LAYER = "mixed3b"  # the layer of the bundled network whose first image stands for all
BINS = 64  # of its histogram
SEEN = 10_000  # pictures


def unmade(field: str, faces: FacesSpec, neurons: int, tile: tuple[int, int]) -> Looks | Examples:
    """What stands for a field of LayerFacts of so many neurons; all of them have the same. tile: rows, cols of examples."""
    return _looks(faces.visualization, neurons) if field == "looks" else _examples(faces.images, neurons, *tile)


def _looks(how: VisualizationSpec, neurons: int) -> Looks:
    image = _image(how.size)
    more = how.images * (1 + how.negative) - 1
    return Looks(
        images=_all(image, neurons),
        activations=_all(np.float32(1.234), neurons),
        photographs=_all(np.float32(np.nan), neurons),
        count=0,
        more=_all(np.stack([image] * more), neurons) if more else None,
        notes=(),
        negative=how.images * how.negative,
        objective=how.objective,
    )


def _examples(said: ImagesSpec, neurons: int, rows: int, cols: int) -> Examples:
    ranks = said.top + said.spread
    crops = np.stack([np.roll(_image(max(rows, cols)), rank, 0)[:rows, :cols] for rank in range(ranks)])
    return Examples(
        crops=_all(crops, neurons),
        activations=_all(np.linspace(9.87, 1.23, ranks, dtype=np.float32), neurons),
        images=_all(np.arange(ranks, dtype=np.int32), neurons),
        positions=_all(np.zeros((ranks, 2), np.int32), neurons),
        boxes=_all(np.tile(np.array([0, 0, rows, cols], np.int32), (ranks, 1)), neurons),
        top=said.top,
        names=tuple(f"{rank:04}.jpeg" for rank in range(ranks)),
        size=(2 * rows, 2 * cols),
        counts=_all(np.arange(BINS, 0, -1, dtype=np.int32), neurons),
        first=_all(np.float32(0), neurons),
        width=_all(np.float32(0.125), neurons),
        low=_all(np.float32(0), neurons),
        high=_all(np.float32(9.87), neurons),
        silent=_all(np.int32(123), neurons),
        seen=said.count or SEEN,
        refused=(),
        refused_count=0,
        remarks=(),
        notes=("",) * neurons,
        credit=said.credit,
        licence=said.licence,
    )


def _all(value: np.ndarray | np.generic, neurons: int) -> np.ndarray:
    """[unit, ...] with the same for every neuron, in the memory of one."""
    return np.broadcast_to(value, (neurons, *np.shape(value)))


@cache
def _image(side: int) -> np.ndarray:
    """A feature visualization of the bundled network, uint8 [row, col, RGB]."""
    folder = PACKAGE / "models" / "bundled" / "visualizations"
    measured = json.loads((folder / "index.json").read_bytes())
    size = int(measured["side"])
    found = read_pixels((folder / f"{LAYER}.webp").read_bytes())[:size, :size]
    return shrunk(found[None], side)[0]
