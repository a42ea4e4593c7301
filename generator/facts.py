"""What is kept of a model, put together again as the records that pages are made of. Arrays are read as they are looked at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from generator.authored.prose import LayerPlace
from generator.keeping.store import Store
from generator.records import LayerFacts, LayerKeys, LayerPlan, LayerWeights, ModelFacts, Pair, Results


def model_facts(results: Results, store: Store) -> ModelFacts:
    """All that was worked out of a model; `store` holds it. Raises StoreError where a result has gone since."""
    plan = results.plan
    held: list[LayerWeights] = [store.get(keys.weights, trusted=True) for keys in results.keys]
    reads = [_pairs(weights, keys, store) for weights, keys in zip(held, results.keys, strict=True)]
    writes = _writes(reads)
    layers = zip(plan.layers, results.chosen, held, reads, results.keys, results.orders, strict=True)
    return ModelFacts(
        name=plan.name,
        provenance=plan.provenance,
        input_shape=plan.input_shape,
        mean=plan.mean,
        std=plan.std,
        layers=tuple(
            replace(
                _layer_facts(layer, chosen, weights, pairs, writes[layer.layer.address], keys, store),
                order=order,
                face_budget=results.face_budget,
            )
            for layer, chosen, weights, pairs, keys, order in layers
        ),
    )


def _pairs(held: LayerWeights, keys: LayerKeys, store: Store) -> tuple[Pair, ...]:
    tables = store.get(keys.tables, trusted=True)
    return tuple(
        Pair(weights, one.reads, one.writes, one.norms, one.lean) for weights, one in zip(held.weights, tables, strict=True)
    )


def _writes(reads: Sequence[tuple[Pair, ...]]) -> dict[str, list[Pair]]:
    """By layer, the pairs in which it is read."""
    found: dict[str, list[Pair]] = defaultdict(list)
    for pairs in reads:
        for pair in pairs:
            found[pair.weights.source].append(pair)
    return found


def _layer_facts(
    plan: LayerPlan,
    chosen: np.ndarray,
    held: LayerWeights,
    reads: tuple[Pair, ...],
    writes: Sequence[Pair],
    keys: LayerKeys,
    store: Store,
) -> LayerFacts:
    more: dict[str, Any] = {name: store.get(key, trusted=True) for name, key in keys.facts}
    return LayerFacts(
        layer=plan.layer, chosen=chosen, labels=plan.labels, reads=reads, writes=tuple(writes), refused=held.refused, **more
    )


def places_of_results(models: Sequence[Results]) -> dict[str, dict[str, LayerPlace]]:
    """Every layer of every model, with its neurons and those that have pages."""
    return {
        one.plan.name: {
            plan.layer.address: LayerPlace(plan.layer.neurons, frozenset(units.tolist()))
            for plan, units in zip(one.plan.layers, one.chosen, strict=True)
        }
        for one in models
    }
