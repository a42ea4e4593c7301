"""What the JSON twin of a layer says of its faces beside its weights, and how it writes numbers: in columns, over `units`."""

from __future__ import annotations

from typing import Any

import numpy as np

from generator.pages.faces import EXAMPLES, PICTURE, PIXELS, VISUALIZATION, WEIGHTS, layer_faces, there
from generator.pages.views import face_grid
from generator.records import Examples, Given, LayerFacts, Looks, Pixels, Pushes

DIGITS = 4  # significant digits kept of each number: more than any page shows


def faces_said(facts: LayerFacts, units: np.ndarray) -> dict[str, Any]:
    """The kinds of faces that neurons of a layer have, in their order, with what is known of each; of weights see `picture`."""
    found: dict[str, Any] = {}
    for face in layer_faces(facts, face_grid(facts)):
        said: dict[str, Any] = {"sprite": face.small.file, "tile": [face.small.grid.rows, face.small.grid.cols]}
        if face.kind != WEIGHTS:
            have = there(facts, face.kind)[units]
            said |= {} if have.all() else {"missing": units[~have].tolist()}
        found[face.kind] = said | _more(facts, face.kind, units)
    return found


def _more(facts: LayerFacts, kind: str, units: np.ndarray) -> dict[str, Any]:
    if kind == PIXELS and facts.pixels:
        return _pixels(facts.pixels, units)
    if kind == VISUALIZATION and facts.looks:
        return _looks(facts.looks, units)
    if kind == EXAMPLES and facts.examples:
        return _examples(facts.examples, units)
    return _given(facts.given) if kind == PICTURE and facts.given else {}


def _pixels(pixels: Pixels, units: np.ndarray) -> dict[str, Any]:
    """Sizes and places in pixels of the input: rows, then cols."""
    return {
        "size": pixels.size,
        "shown": pixels.shown,
        "place": pixels.place,
        "stride": pixels.stride,
        "shrunk": pixels.shrunk,
        "limit": numbers(pixels.limit[units]),
        "kept": numbers(pixels.kept[units]),
    }


def _looks(looks: Looks, units: np.ndarray) -> dict[str, Any]:
    return {
        "activation": numbers(looks.activations[units]),
        "photographs": looks.count,
        "largest": numbers(looks.photographs[units]),
    }


def _examples(seen: Examples, units: np.ndarray) -> dict[str, Any]:
    """Lists of lists run over units, then ranks; the first `top` ranks are the largest activations, -1 is no picture."""
    return {
        "seen": seen.seen,
        "refused": seen.refused_count,
        "credit": seen.credit,
        "licence": seen.licence,
        "top": seen.top,
        "names": seen.names,
        "image": seen.images[units].tolist(),
        "activation": numbers(seen.activations[units]),
        "low": numbers(seen.low[units]),
        "high": numbers(seen.high[units]),
        "silent": seen.silent[units].tolist(),
    }


def _given(given: Given) -> dict[str, Any]:
    return {"credit": given.credit, "licence": given.licence, "unreadable": given.unreadable}


def pushes_said(pushes: Pushes, units: np.ndarray) -> dict[str, Any]:
    """The classes that neurons push up and down; -1 is none."""
    said = {
        "classes": pushes.classes,
        "through": pushes.through,
        "up": pushes.up[units].tolist(),
        "up_weight": numbers(pushes.up_weight[units]),
        "down": pushes.down[units].tolist(),
        "down_weight": numbers(pushes.down_weight[units]),
    }
    if pushes.up_kept is not None and pushes.down_kept is not None:
        said |= {"up_kept": numbers(pushes.up_kept[units]), "down_kept": numbers(pushes.down_kept[units])}
    return said


def numbers(values: np.ndarray) -> Any:
    """Numbers to DIGITS significant digits as (lists of) floats; what is not finite is None."""
    values = np.asarray(values, np.float64)
    finite = np.isfinite(values)
    safe = np.where(finite, values, 0.0)
    with np.errstate(divide="ignore"):
        power = np.where(safe != 0, np.floor(np.log10(np.abs(safe))), 0.0)
    places = np.clip(DIGITS - 1 - power, 0, 300)  # multiplying and dividing by a power of ten leaves the shortest decimal
    rounded: np.ndarray = np.asarray(np.rint(safe * 10.0**places) / 10.0**places)
    if finite.all():
        return rounded.tolist()
    told = rounded.astype(object)
    told[~finite] = None
    return told.tolist()
