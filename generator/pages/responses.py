"""What neurons respond to: feature visualizations beside their weights, where a model brings them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from generator.pages.views import IN_STRIP, LayerView
from generator.photos import shrunk, sprite_of, webp
from generator.pictures import sprite_grid
from generator.records import LayerFacts, Looks

SPRITE, FOLDER = "responses.webp", "responses"  # in a layer's folder: all of its neurons, and one file for each
THUMBNAIL = 48  # pixels of a tile of the sprite
SHOWN = 224  # CSS pixels of the picture on its neuron's page
HOW = (
    "An image was changed step by step, from noise, so that the neuron’s mean activation over its map grows, with random "
    "shifts, turns and sizes on the way (Olah et al. 2017). It shows what drives the neuron; the weights show how."
)
SWITCH = "main:has(#responses:checked)"  # the page's checkbox; without it nothing of the sprite is loaded


class Response(NamedTuple):
    """A neuron's feature visualization on its own page."""

    src: str
    side: int
    alt: str
    told: str
    how: str


def response(facts: LayerFacts, unit: int) -> Response | None:
    """What the page of one neuron shows; None where the model brings no feature visualizations."""
    looks = facts.looks
    if looks is None:
        return None
    alt = f"Feature visualization of {facts.layer.address}:{unit}"
    return Response(f"{FOLDER}/{unit}.webp", SHOWN, alt, _told(looks, unit), HOW)


def _told(looks: Looks, unit: int) -> str:
    """How strongly it drives the neuron, beside photographs."""
    own, best = float(looks.activations[unit]), float(looks.photographs[unit])
    return (
        f"Feature visualization: an image made to drive it. Mean activation {own:.3g}; "
        f"of {looks.count:,} photographs {best:.3g} at most."
    )


def response_style(facts: LayerFacts, css: str, target: float, prefix: str = "") -> Markup:
    """The rule by which a page's checkbox shows feature visualizations in place of weights, at `target` CSS pixels.

    `prefix` leads from the page to the layer's folder. '' where the layer has none.
    """
    if facts.looks is None:
        return Markup("")
    width = sprite_grid(facts.layer.neurons, THUMBNAIL, THUMBNAIL).width
    size = f"--r:{THUMBNAIL};--c:{THUMBNAIL};--w:{width};--s:{target / THUMBNAIL:g}"
    address = f"{prefix}{SPRITE}"
    return Markup(  # numbers, our own names and folder(), as in `sprite_style`: nothing to escape
        f'{SWITCH} .{css}{{{size}}}{SWITCH} .{css}{IN_STRIP}{{background-image:url("{address}");image-rendering:auto}}'
    )


def response_files(facts: LayerFacts, view: LayerView) -> Iterator[tuple[str, bytes]]:
    """The pictures of one layer, from its model's folder: the sprite, and a file for each neuron that has a page."""
    if facts.looks is None:
        return
    images = np.asarray(facts.looks.images)
    yield f"{view.folder}/{SPRITE}", sprite_of(shrunk(images, THUMBNAIL))
    for unit in facts.chosen.tolist():
        yield f"{view.page(unit).rpartition('/')[0]}/{FOLDER}/{unit}.webp", webp(images[unit])


def count_responses(facts: LayerFacts) -> int:
    """How many files `response_files` yields."""
    return 0 if facts.looks is None else 1 + len(facts.chosen)
