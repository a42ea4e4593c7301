"""Stand-ins for layers that are not worked out yet: of their true size where others speak of them, small for their own pages.

A stand-in of true size holds no more than one neuron's numbers, or windows on those of a sample; that of a layer's own pages is
the layer as if it had no neurons but a sample.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from generator.context.looks import read_looks
from generator.facespec import FacesSpec
from generator.facts import model_facts
from generator.forecasting.sampling import Sampled, narrowed
from generator.forecasting.unmade import unmade
from generator.keeping.store import Store
from generator.records import Largest, LayerFacts, LayerPlan, ModelFacts, ModelPlan, Pair, Results, Weights

FACES = ("looks", "pixels", "pushes", "given", "examples")  # fields of LayerFacts that are known of all neurons, or of none


@dataclass(frozen=True)
class Known:
    """What is known of a layer before it is worked out."""

    samples: Sampled
    chosen: np.ndarray  # int32: the units that have a page, ascending
    order: tuple[str, ...]  # its faces in their declared order
    faces: tuple[tuple[str, str], ...]  # (field of LayerFacts, key) for those of FACES that it will have; '' for one not made
    asked: FacesSpec  # what the spec says of faces
    tile: tuple[int, int]  # rows and cols of examples that are not made yet


@dataclass(frozen=True)
class StandIns:
    """A model of which samples are known."""

    whole: ModelFacts  # every layer of true size
    small: ModelFacts  # every layer of the neurons of its smaller sample
    large: ModelFacts  # and of its larger one, the same where there is one sample
    units: tuple[tuple[tuple[int, ...], ...], ...]  # of each layer, those of either sample

    def of(self, place: int, size: int) -> LayerFacts:
        """A layer as if it had no neurons but those of its smaller sample (0) or of its larger one (1)."""
        own, true, units = (self.small, self.large)[size].layers[place], self.whole.layers[place], self.units[place][size]
        return replace(
            own,
            writes=tuple(self._written(pair, units) for pair in self.large.layers[place].writes),
            **{name: _picked(getattr(true, name), true.layer.neurons, list(units)) for name in FACES},
        )

    def _written(self, pair: Pair, units: Sequence[int]) -> Pair:
        """What some neurons write to a layer, of whose neurons a sample is known."""
        addresses = [facts.layer.address for facts in self.whole.layers]
        reader = addresses.index(pair.weights.target)
        (true,) = (one for one in self.whole.layers[reader].reads if one.weights.source == pair.weights.source)
        neurons, picked = len(true.weights.kernel), list(units)
        others = np.array(self.units[reader][1], np.int32)
        weights = _of_inputs(true.weights, picked)
        nothing = np.broadcast_to(np.float32(0), weights.kernel.shape[:2])
        return Pair(weights, pair.reads, _rows(pair.writes, picked, others, neurons), nothing, nothing)


def stand_ins(plan: ModelPlan, known: Sequence[Known], samples: Store, store: Store) -> StandIns:
    """A model put together from the samples of its layers; `store` holds what is worked out of it for good."""
    small, large = (_of_samples(plan, known, which, samples) for which in (0, -1))
    layers = [_whole(*each, store) for each in zip(plan.layers, known, large.layers, strict=True)]
    writes = defaultdict(list)
    for facts in layers:
        for pair in facts.reads:
            writes[pair.weights.source].append(pair)
    whole = tuple(replace(facts, writes=tuple(writes[facts.layer.address])) for facts in layers)
    units = tuple((one.samples.samples[0].units, one.samples.samples[-1].units) for one in known)
    return StandIns(replace(large, layers=whole), small, large, units)


def _of_samples(plan: ModelPlan, known: Sequence[Known], which: int, store: Store) -> ModelFacts:
    """The model as if no layer had neurons but those of a sample."""
    found = [one.samples.samples[which] for one in known]
    layers = tuple(narrowed(one, sample.units) for one, sample in zip(plan.layers, found, strict=True))
    everyone = tuple(np.arange(len(sample.units), dtype=np.int32) for sample in found)
    keys, orders = tuple(sample.keys for sample in found), tuple(one.order for one in known)
    return model_facts(Results(replace(plan, layers=layers), everyone, keys, orders), store)


def _whole(plan: LayerPlan, known: Known, sample: LayerFacts, store: Store) -> LayerFacts:
    """A layer of its true size."""
    few, neurons, at = sample.layer.neurons, plan.layer.neurons, known.samples
    looks = read_looks(Path(at.looks), at.sha256, plan.layer.address, neurons) if at.looks else None
    return LayerFacts(
        layer=plan.layer,
        chosen=known.chosen,
        labels=plan.labels,
        faces=replace(_grown(sample.faces, few, neurons), factors=None),
        reads=tuple(_whole_pair(pair, neurons) for pair in sample.reads),
        writes=(),
        refused=sample.refused,
        order=known.order,
        face_budget=known.asked.bytes,
        **{"looks": looks, **dict(_faces(known, neurons, store))},
    )


def _faces(known: Known, neurons: int, store: Store) -> Iterator[tuple[str, Any]]:
    """The faces of a layer beside its weights, by field of LayerFacts."""
    for name, key in known.faces:
        yield name, store.get(key, trusted=True) if key else unmade(name, known.asked, neurons, known.tile)


def _picked(record: Any, neurons: int, units: list[int]) -> Any:
    """A record of some of a layer's neurons; None stays None."""
    if record is None or len(units) == neurons:
        return record
    values = {each.name: getattr(record, each.name) for each in fields(record)}
    picked: dict[str, Any] = {
        name: one[units] for name, one in values.items() if isinstance(one, np.ndarray) and one.shape[:1] == (neurons,)
    }
    if len(values.get("notes") or ()) == neurons:
        picked["notes"] = tuple(values["notes"][unit] for unit in units)
    return replace(record, **picked)


def _grown(value: Any, known: int, neurons: int) -> Any:
    """A record of a sample as if of all neurons, each of them like the first."""
    if isinstance(value, np.ndarray):
        return np.broadcast_to(value[:1], (neurons, *value.shape[1:])) if value.shape[:1] == (known,) else value
    if is_dataclass(value) and not isinstance(value, type):
        made = {each.name: _grown(getattr(value, each.name), known, neurons) for each in fields(value)}
        if len(made.get("notes", ())) == known:
            made["notes"] = ("",) * neurons
        return replace(value, **made)
    return value


def _whole_pair(pair: Pair, neurons: int) -> Pair:
    """Two layers of true size; the numbers of their connections are taken from a sample, the tables are those of the sample."""
    kernel, left = _windows(pair.weights.kernel, neurons), pair.weights.cancellation
    weights = replace(pair.weights, kernel=kernel, cancellation=None if left is None else _windows(left, neurons))
    return Pair(weights, pair.reads, pair.writes, _windows(pair.norms, neurons), _windows(pair.lean, neurons))


def _windows(values: np.ndarray, neurons: int) -> np.ndarray:
    """[unit, input, ...] of a sample as if of so many neurons: each is the one before, moved on by one connection."""
    units, inputs = values.shape[:2]
    if units == neurons or not values.size:
        return values if units == neurons else np.zeros((neurons, *values.shape[1:]), values.dtype)
    line = np.reshape(values, (units * inputs, *values.shape[2:]))
    times = -(-(neurons + inputs - 1) // len(line))
    line = np.concatenate([line] * times) if times > 1 else line
    found = np.lib.stride_tricks.sliding_window_view(line, inputs, axis=0)[:neurons]
    return np.moveaxis(found, -1, 1)


def _of_inputs(weights: Weights, inputs: list[int]) -> Weights:
    """Weights on some neurons of the source alone, without the kernels."""
    units, _, rows, cols = weights.kernel.shape
    scale, left = weights.source_scale, weights.cancellation
    return replace(
        weights,
        kernel=np.broadcast_to(np.float32(0), (units, len(inputs), rows, cols)),
        source_scale=None if scale is None else scale[inputs],
        cancellation=None if left is None else left[:, inputs],
    )


def _rows(table: Largest, rows: list[int], others: np.ndarray, neurons: int) -> Largest:
    """The tables of some neurons with a layer of which a sample is known, `others` of its `neurons`."""
    known = len(table.norm)
    picked: dict[str, Any] = {
        each.name: getattr(table, each.name)[rows]
        for each in fields(table)
        if isinstance(getattr(table, each.name), np.ndarray) and len(getattr(table, each.name)) == known
    }
    picked["other"] = others[picked["other"]]
    return replace(table, **picked, left_out=neurons - table.other.shape[1])
