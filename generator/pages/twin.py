"""The JSON twin of a layer: the numbers of its pages, compact, in columns, NaN and infinities as null."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from generator.pages.facetwin import faces_said, numbers, pushes_said
from generator.pages.sharing import asked, is_large, shared
from generator.records import Largest, LayerFacts, ModelFacts, Pair, Statistics


def layer_json(model: ModelFacts, facts: LayerFacts) -> bytes:
    """`layer.json` of one layer. Every list runs over `units`, the neurons that have pages, unless its name says otherwise."""
    show, facts = asked(facts), shared(facts)
    layer, units = facts.layer, facts.chosen
    given = model.provenance
    said = {
        "model": model.name,
        "weights": {"source": given.source, "file": given.weights, "versions": dict(given.versions)},
        "layer": layer.address,
        "kind": layer.kind,
        "neurons": layer.neurons,
        "kernel": layer.kernel,
        "stride": layer.stride,
        "map": layer.map_size,
        "parameters": layer.parameters,
        "aliases": layer.aliases,
        "branches": [{"layer": one.address, "start": one.start, "stop": one.stop} for one in layer.branches],
        "units": units.tolist(),
        "labels": [facts.labels[unit] for unit in units.tolist()] if facts.labels else [],
        "picture": _picture(facts, units),
        "faces": faces_said(facts, units),
        "pushes": None if facts.pushes is None else pushes_said(facts.pushes, units),
        "statistics": None if facts.statistics is None else _statistics(facts.statistics, units),
        "reads": [_table(pair, pair.reads, units, show) for pair in facts.reads],
        "writes": [_table(pair, pair.writes, units, show) for pair in facts.writes],
        "refused": facts.refused,
    }
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8") + b"\n"


def _picture(facts: LayerFacts, units: np.ndarray) -> dict[str, Any]:
    """What the pictures of the layer show and explain."""
    faces, factors = facts.faces, facts.faces.factors
    said: dict[str, Any] = {"kind": faces.kind, "sources": faces.sources, "expanded": faces.expanded, "scale": faces.scale}
    if factors is not None:
        said |= {"method": factors.method, "factors": factors.maps.shape[3], "noise": numbers(np.array(factors.noise))}
        said |= {"explained": numbers(factors.explained[units]), "bound": numbers(factors.bound[units])}
    if faces.bars is not None and faces.bar_inputs is not None:
        said |= {"bars": numbers(faces.bars[units]), "bar_inputs": faces.bar_inputs[units].tolist()}
    return said | {"notes": [faces.notes[unit] for unit in units.tolist()]}


def _statistics(found: Statistics, units: np.ndarray) -> dict[str, Any]:
    """The statistics of the neurons; `place` is among all neurons of the layer, and -1 among `alike` is no neuron."""
    said: dict[str, Any] = {name: numbers(getattr(found, name)[units]) for name in ("norm", "sparsity", "zeros", "positive")}
    for name, values in (("bias", found.bias), ("norm_scale", found.norm_scale)):
        said[name] = None if values is None else numbers(values[units])
    said |= {"alike": found.alike[units].tolist(), "cosine": numbers(found.cosine[units])}
    return said | {"place": found.place[units].tolist()}


def _table(pair: Pair, largest: Largest, units: np.ndarray, show: int) -> dict[str, Any]:
    """The largest connections with one neighbouring layer; lists of lists run over units, then ranks."""
    weights, other = pair.weights, largest.other[units]
    said = {
        "layer": largest.there,
        "direct": weights.direct,
        "through": weights.through,
        "replaced": [[one.module, one.operation, one.by] for one in weights.replaced],
        "kernel": weights.kernel.shape[2:],
        "grid": weights.grid,
        "stride": weights.stride,
        "left_out": largest.left_out,
        "shown": numbers(largest.shown[units]),
        "other": other.tolist(),
        "norm": numbers(largest.norm[units]),
        "excitation": numbers(largest.excitation[units]),
        "inhibition": numbers(largest.inhibition[units]),
        "share": numbers(largest.share[units]),
    }
    if is_large(largest, show):
        said |= {"spread": largest.spread[units].tolist(), "reach": numbers(largest.reach[units])}
        said["floor"] = numbers(largest.floor[units])
    if weights.cancellation is not None:
        here = np.broadcast_to(units[:, None], other.shape)
        ends = (here, other) if largest.direction == "reads" else (other, here)
        said["cancellation"] = numbers(weights.cancellation[ends])
    return said
