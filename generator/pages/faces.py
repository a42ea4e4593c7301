"""Which faces the neurons of a layer have, in their declared order, and where each kind lies: a sprite for rows, one for grids.

How large a tile of a sprite is follows from the layer alone, so that a page can cut faces from sprites that are not made yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from generator.photos import is_exact
from generator.pictures import Grid, sprite_grid
from generator.records import LayerFacts

WEIGHTS, PIXELS, VISUALIZATION, EXAMPLES, PICTURE = "weights", "pixels", "visualization", "examples", "picture"
NAMES = {
    WEIGHTS: "weights",
    PIXELS: "weights on the pixels",
    VISUALIZATION: "feature visualizations",
    EXAMPLES: "examples",
    PICTURE: "given pictures",
}
OF_WEIGHTS = (WEIGHTS, PIXELS)  # kinds that show weights
SAMPLED = (VISUALIZATION, EXAMPLES)  # kinds that show activations
SPRITE = "faces.png"  # of the weights, in a layer's folder
SMALL = ((48, 36), (128, 30), (1 << 30, 24))  # pixels of a tile for rows, up to so many neurons: a sprite is to take 19 KB
LARGE = ((512, 48), (1 << 30, 36))  # for grids


class Sprite(NamedTuple):
    """Every neuron of a layer in one picture."""

    file: str  # in the layer's folder
    grid: Grid
    smooth: bool  # whether it is enlarged smoothly


class LayerFace(NamedTuple):
    """One kind of face that neurons of a layer have."""

    kind: str
    small: Sprite  # for rows and strips
    large: Sprite  # for grids; the same where the pictures themselves are small


class Choice(NamedTuple):
    """A kind of face that one may ask for on a page."""

    kind: str
    name: str


class Switch(NamedTuple):
    """What one may ask for on a page."""

    faces: tuple[Choice, ...]  # none where there is no choice
    activations: bool  # whether some show activations


NO_SWITCH = Switch((), False)


def layer_faces(facts: LayerFacts, weights: Grid | None) -> tuple[LayerFace, ...]:
    """The faces of a layer, that which stands for its neurons first; `weights`: where the pictures of its weights lie."""
    return tuple(face for kind in facts.order if (face := _face(facts, kind, weights)) is not None)


def _face(facts: LayerFacts, kind: str, weights: Grid | None) -> LayerFace | None:
    if kind == WEIGHTS:
        own = None if weights is None else Sprite(SPRITE, weights, smooth=False)
        return own and LayerFace(kind, own, own)
    size = picture_size(facts, kind)
    if size is None:
        return None
    neurons = facts.layer.neurons
    small, large = (_tile(size, _side(neurons, sides)) for sides in (SMALL, LARGE))
    smooth = not is_exact(size)  # the pixels of tiny pictures stay pixels
    first = Sprite(f"{kind}.webp", sprite_grid(neurons, *small), smooth)
    return LayerFace(
        kind, first, first if small == large else Sprite(f"{kind}-large.webp", sprite_grid(neurons, *large), smooth)
    )


def _side(neurons: int, sides: Sequence[tuple[int, int]]) -> int:
    return next(side for most, side in sides if neurons <= most)


def _tile(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Rows and cols of a tile: those of the picture, or as many as make its longer side `side`."""
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def picture_size(facts: LayerFacts, kind: str) -> tuple[int, int] | None:
    """Rows and cols of the pictures of a kind other than weights; None where no neuron has one."""
    if not there(facts, kind).any():
        return None
    if kind == PICTURE and facts.given is not None:
        side = int(np.max(facts.given.sizes))
        return side, side
    shapes = {
        PIXELS: facts.pixels and facts.pixels.pixels.shape[1:3],
        VISUALIZATION: facts.looks and facts.looks.images.shape[1:3],
        EXAMPLES: facts.examples and facts.examples.crops.shape[2:4],
    }
    return shapes[kind] or None


def read_pixels_at_once(facts: LayerFacts) -> bool:
    """Whether the picture of its weights already is one of its weights on the pixels: a layer that reads the input itself."""
    own = facts.faces
    return WEIGHTS in facts.order and own.kind in ("rgb", "signed") and own.sources == ("input",) and own.pixels.size > 0


def there(facts: LayerFacts, kind: str) -> np.ndarray:
    """Which neurons have a picture of a kind other than weights: bool [unit]. One that is that of the weights counts once."""
    none = np.zeros(facts.layer.neurons, bool)
    if kind == PIXELS and read_pixels_at_once(facts):
        return none
    if kind == PIXELS and facts.pixels is not None and facts.pixels.pixels.size:
        return np.asarray(facts.pixels.there)
    if kind == VISUALIZATION and facts.looks is not None and facts.looks.images.size:
        return ~none
    if kind == EXAMPLES and facts.examples is not None and facts.examples.crops.size:
        return np.asarray(facts.examples.images[:, 0]) >= 0
    if kind == PICTURE and facts.given is not None and facts.given.images.size:
        return np.asarray(facts.given.there)
    return none


def counterpart(faces: Sequence[LayerFace], kind: str) -> LayerFace | None:
    """What stands beside a face of a kind: beside weights what the neuron responds to, beside that its weights."""
    return next((face for face in faces if (face.kind in OF_WEIGHTS) != (kind in OF_WEIGHTS)), None)


def switch_of(layers: Iterable[Sequence[LayerFace]]) -> Switch:
    """The faces that one may ask for where these layers are shown, in their order."""
    kinds = _merged([face.kind for face in faces] for faces in layers)
    found = tuple(Choice(kind, NAMES[kind]) for kind in kinds) if len(kinds) > 1 else ()
    return Switch(found, any(kind in SAMPLED for kind in kinds))


def _merged(orders: Iterable[Sequence[str]]) -> list[str]:
    """Everything that stands in any of these orders, behind what it stands behind in them."""
    given = [list(order) for order in orders]
    left = list(dict.fromkeys(kind for order in given for kind in order))
    found: list[str] = []
    while left:
        before = {kind: {first for order in given if kind in order for first in order[: order.index(kind)]} for kind in left}
        found.append(next((kind for kind in left if not before[kind] & set(left)), left[0]))  # models may disagree
        left.remove(found[-1])
    return found
