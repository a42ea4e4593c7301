"""A small atlas made of numbers alone, for the tests of the pages: every kind of layer, face and table, the odd ones too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from generator.analyses.faces import make_faces
from generator.analyses.statistics import statistics
from generator.analyses.tables import pair_of
from generator.records import (
    AtlasFacts,
    Branch,
    Faces,
    Layer,
    LayerFacts,
    ModelFacts,
    Pair,
    Provenance,
    Replacement,
    Weights,
)

HOSTILE = "<b>&\"'</b>"  # markup in names, to be shown as it stands
ROWS = 4
DEAD, BROKEN = 5, 6  # neurons of 'mixed' whose weights are zero, and hold NaN and Inf


def weights(source: str, target: str, kernel: np.ndarray, through: Sequence[str] = (), scale: bool = False) -> Weights:
    """Weights between two layers, direct unless they go through others."""
    units, inputs = kernel.shape[:2]
    random = np.random.default_rng(units * 100 + inputs)
    return Weights(
        source=source,
        target=target,
        kernel=np.ascontiguousarray(kernel, np.float32),
        grid="sliding",
        stride=(1, 1),
        offset=(0, 0),
        direct=not through,
        through=tuple(through),
        replaced=(Replacement("pool", "MaxPool2d 3x3", "average pool 3x3"),) if through else (),
        read_at=source,
        source_scale=random.random(inputs).astype(np.float32) + 0.5 if scale else None,
        cancellation=random.random((units, inputs)).astype(np.float32) if through else None,
    )


def layer(
    address: str, kind: str, neurons: int, kernel: tuple[int, int] | None = None, branches: tuple[Branch, ...] = ()
) -> Layer:
    """A layer, with what tests do not care about filled in."""
    aliases = (f"{address}.relu",) if kind == "Conv2d" else ()
    return Layer(address, kind, neurons, (8, 8), kernel, (1, 1) if kernel else None, neurons * 9, (), aliases, branches)


def provenance() -> Provenance:
    """Where the weights say they came from."""
    return Provenance("tests:small", f"small{HOSTILE}.pt", "0123456789abcdef" * 4, (("torch", "2.0"), ("torchvision", "0.15")))


def sample_weights() -> list[Weights]:
    """input -> _stem -> mixed -> head, and mixed read from the input through the stem."""
    random = np.random.default_rng(1)
    mixed = random.standard_normal((12, 6, 3, 3)) * 0.1
    mixed[DEAD] = 0
    mixed[BROKEN, 0, 0, 0], mixed[BROKEN, 1, 1, 1] = np.nan, np.inf
    mixed[2, 3:] = 0  # fewer connections than a table has rows
    return [
        weights("input", "_stem", random.standard_normal((6, 3, 5, 5)) * 0.2),
        weights("_stem", "mixed", mixed, scale=True),
        weights("input", "mixed", random.standard_normal((12, 3, 7, 7)) * 0.01, through=("_stem",)),
        weights("mixed", "head", random.standard_normal((7, 12, 1, 1))),
    ]


def pairs(every: Sequence[Weights], scaled: bool = True) -> list[Pair]:
    """Both tables of each."""
    return [pair_of(one, ROWS, scaled) for one in every]


def facts_of(one: Layer, every: Sequence[Pair], faces: Faces | None = None, **more: object) -> LayerFacts:
    """A layer with its neighbours' tables and its faces."""
    reads = tuple(pair for pair in every if pair.weights.target == one.address)
    writes = tuple(pair for pair in every if pair.weights.source == one.address)
    faces = faces or make_faces([pair.weights for pair in reads], one.neurons)
    numbers = statistics([pair.weights for pair in reads], *terms(one.neurons)) if reads else None
    facts = LayerFacts(one, np.arange(one.neurons, dtype=np.int32), (), faces, reads, writes, (), numbers)
    return replace(facts, **more)


def terms(neurons: int) -> tuple[np.ndarray, np.ndarray | None]:
    """The bias of every neuron and, in layers of an even number, the scale of a batch norm."""
    random = np.random.default_rng(neurons)
    bias, scale = random.standard_normal(neurons).astype(np.float32), random.random(neurons).astype(np.float32) + 0.5
    return bias, None if neurons % 2 else scale


def sample_model(name: str = "small") -> ModelFacts:
    """Four layers: an input, a first layer with a leading underscore, a concat, a classifier with labels."""
    every = pairs(sample_weights())
    branches = (Branch("mixed.a", 0, 4), Branch("mixed._b", 4, 12))
    labels = (*(f"label {unit}" for unit in range(6)), HOSTILE)
    chosen = np.array([0, 1, 2, 4, 5, 6, 8, 11], np.int32)
    return ModelFacts(
        name,
        provenance(),
        (3, 32, 32),
        (
            facts_of(layer("input", "input", 3), every),
            facts_of(layer("_stem", "Conv2d", 6, (5, 5)), every),
            facts_of(layer("mixed", "concat", 12, branches=branches), every, chosen=chosen),
            facts_of(layer("head", "Linear", 7), every, bars(every[3]), labels=labels, refused=(f"tail: refused {HOSTILE}",)),
        ),
    )


def bars(pair: Pair) -> Faces:
    """Bars in place of pictures, for a layer without positions."""
    kernel = pair.weights.kernel
    order = np.argsort(-np.abs(kernel[:, :, 0, 0]), axis=1)[:, :5].astype(np.int32)
    values = np.take_along_axis(kernel[:, :, 0, 0], order, 1)
    units = len(kernel)
    blank = np.zeros((units, 0, 0, 3), np.uint8)
    return Faces("bars", blank, (pair.weights.source,), "", "signed sums", None, values, order, ("",) * units)


def atlas(*models: ModelFacts, site_url: str = "") -> AtlasFacts:
    """An atlas of these models."""
    return AtlasFacts(f"A sample {HOSTILE}", f"Made of {HOSTILE}", (f"N. {HOSTILE}",), "CC0", site_url, True, 3, models)


def sample_atlas() -> AtlasFacts:
    """The atlas most tests render."""
    return atlas(sample_model())
