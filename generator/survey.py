"""A model of the spec, loaded, traced and surveyed: its layers, what they read, and a digest of what their weights depend on.

The survey is the one stage that needs the whole model; what follows goes layer by layer.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from generator.dependence import path_digest
from generator.errors import LayerError, SpecError
from generator.expand import neighbours
from generator.graph import Graph, choose, trace
from generator.keeping.store import key_of
from generator.logits import class_layer
from generator.models import LoadedModel, load_model
from generator.records import Farther, LayerPlan, ModelPlan
from generator.spec import ModelSpec

FARTHEST = 6  # layers that a picture may look back through for a kernel of more than one position

Feeds = dict[str, tuple[tuple[str, ...], tuple[str, ...]]]  # of each chosen layer: what it reads outside of it, and inside


@dataclass(frozen=True)
class Opened:
    """A model of the spec, loaded and traced, with the layers that get pages."""

    spec: ModelSpec
    loaded: LoadedModel
    graph: Graph
    chosen: tuple[str, ...]


_last: tuple[str, Opened] | None = None  # the model opened last in this process, and the digest of what it is made of
_opening = Lock()


def opened_once(model: ModelSpec, folder: Path, key: str) -> Opened:
    """A model that is opened only if it is not the one opened last; `key` tells what it is made of."""
    global _last
    with _opening:
        held = _last
        if held is None or held[0] != key:
            held = _last = None  # before the next is loaded: there is never more than one
            held = _last = key, open_model(model, folder)
    return held[1]


def forget() -> None:
    """Let go of the model opened last, and give the memory it took back to the system."""
    global _last
    _last = None
    gc.collect()  # a traced graph refers to itself
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)


def open_model(model: ModelSpec, folder: Path) -> Opened:
    """One model of the spec.

    Raises:
        SpecError: a layer that it does not have, one line each.
    """
    loaded = load_model(model, folder)
    graph = trace(loaded.module, loaded.input_shape)
    return Opened(model, loaded, graph, choose_layers(model, graph))


def choose_layers(model: ModelSpec, graph: Graph) -> tuple[str, ...]:
    """The layers the spec names; every pattern that names none is told with its place in the file."""
    problems = []
    for index, pattern in enumerate(model.layers):
        try:
            choose(graph, (pattern,))
        except LayerError as error:
            problems.append(model.problem(("layers", index), f"{model.name}: {error}"))
    if problems:
        raise SpecError(problems)
    return choose(graph, model.layers)


def survey(model: ModelSpec, folder: Path, key: str) -> ModelPlan:
    """What there is to be worked out of a model; `key` as in `opened_once`.

    Raises:
        SpecError, ModelError: as `open_model`.
    """
    opened = opened_once(model, folder, key)
    ends = opened.graph.sites[0].name, class_layer(opened.graph)
    feeds = neighbours(opened.graph, opened.chosen)
    loaded = opened.loaded
    return ModelPlan(
        name=model.name,
        provenance=loaded.provenance,
        input_shape=loaded.input_shape,
        layers=tuple(_planned(opened, address, feeds, *ends) for address in opened.chosen),
        looks=str(loaded.looks) if loaded.looks else "",
        mean=loaded.mean,
        std=loaded.std,
    )


def _planned(opened: Opened, address: str, feeds: Feeds, image: str, classes: str) -> LayerPlan:
    """`image`: address of the input; `classes`: of the layer of the classes, '' without one."""
    graph, (outside, inside) = opened.graph, feeds[address]
    paths = [path_digest(graph, address, outside), path_digest(graph, address, inside, outside)]
    return LayerPlan(
        layer=graph.layers[address],
        labels=labels_of(opened, address),
        outside=outside,
        inside=inside,
        digest=key_of(outside=paths[0], inside=paths[1], address=address),
        farther=tuple(
            Farther(sources, path_digest(graph, address, sources)) for sources in _farther(opened.chosen, outside, feeds)
        ),
        pixels=path_digest(graph, address, [image]) if address != image else "",
        pushes=path_digest(graph, classes, [address]) if classes and classes != address else "",
    )


def _farther(chosen: Sequence[str], outside: Sequence[str], feeds: Feeds) -> list[tuple[str, ...]]:
    """The layers before those that a layer reads, those before these, and so on."""
    steps: list[tuple[str, ...]] = []
    sources = set(outside)
    for _ in range(FARTHEST):
        sources = {farther for source in sources for farther in feeds[source][0]}
        if not sources:
            break
        steps.append(tuple(sorted(sources, key=list(chosen).index)))
    return steps


def labels_of(opened: Opened, address: str) -> tuple[str, ...]:
    """Class names, on the layer that gives the model's answer."""
    layer, names = opened.graph.layers[address], opened.loaded.class_names
    last = address == opened.chosen[-1] and layer.kind in ("Linear", "Conv2d")
    return names if last and len(names) == layer.neurons else ()
