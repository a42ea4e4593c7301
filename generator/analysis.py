"""One layer worked out: its weights, then what is said of them. Each result is kept, and worked out only where it is missing.

A result's key tells everything it depends on: the digest of the weights' paths, the options that it reads, its code. So a
change of one layer, of one option, of one analysis costs no more than what it touches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from generator.errors import RefusedError
from generator.interrupts import leaving_at_once
from generator.keeping.code import code_digest
from generator.keeping.store import Store, key_of
from generator.keeping.tensors import let_go
from generator.records import Faces, Farther, LayerKeys, LayerPlan, LayerWeights, Looks, PairTables, Statistics, Weights
from generator.spec import ModelSpec


@dataclass(frozen=True)
class Options:
    """What of the spec the results depend on, beside the models."""

    factors: int
    method: str
    side: str
    seed: int
    show: int
    scaled: bool


@dataclass(frozen=True)
class LayerTask:
    """A layer to be worked out, by any process."""

    model: ModelSpec
    folder: Path  # of the spec
    key: str  # of what the model is made of
    plan: LayerPlan
    looks: str  # folder of feature visualizations that come with the model, '' for none
    sha256: str  # of the model's weights
    options: Options
    cache: Path
    address: str  # of the cache on a cluster, '' for none
    units: tuple[int, ...] = ()  # the neurons of a sample, of which `plan` then speaks; () for all


@dataclass(frozen=True)
class LayerDone:
    """What has become of a task."""

    keys: LayerKeys
    made: tuple[str, ...]  # what was worked out: 'weights', 'faces', ...; the rest was there
    notes: tuple[str, ...]  # what was found damaged on the way


def analyse(task: LayerTask, store: Store | None = None) -> LayerDone:
    """Work out what is not kept yet of one layer; `store`: where, unless in the cache that the task names.

    Raises:
        RefusedError: its weights cannot be read, and the layers were named one by one: the choice is the user's to mend.
    """
    work = _Work(task, store or Store(task.cache, task.address))
    weights = work.keep("weights", work.weights_key, work.weigh)
    facts = tuple((name, work.keep(name, key, make)) for name, key, make in work.facts())
    tables = work.keep("tables", work.tables_key, work.tabulate)
    keys = LayerKeys(task.plan.layer.address, weights, tables, facts)
    let_go()
    return LayerDone(keys, tuple(work.made), tuple(work.store.notes))


@dataclass
class _Work:
    """The results of one layer in the making."""

    task: LayerTask
    store: Store
    made: list[str] = field(default_factory=list)
    _farther: dict[Farther, list[Weights]] = field(default_factory=dict)

    def keep(self, name: str, key: str, make: Callable[[], Any]) -> str:
        """The key of a result that is kept from now on."""
        if key and not self.store.has(key):
            self.store.put(key, make())
            self.made.append(name)
        return key

    @cached_property
    def held(self) -> LayerWeights:
        """The layer's weights."""
        found: LayerWeights = self.store.get(self.weights_key)
        if found.refused and "auto" not in self.task.model.layers:
            raise RefusedError(f"{self.task.model.name}: {found.refused[0]}")
        return found

    @property
    def outside(self) -> tuple[Weights, ...]:
        """Its weights on layers outside of it."""
        return self.held.weights[: self.held.outside]

    # -- weights

    @cached_property
    def weights_key(self) -> str:
        """Of the weights of the layer."""
        return key_of(what="weights", path=self.task.plan.digest, code=code_digest("generator.reading"))

    def weigh(self) -> LayerWeights:
        """The weights of the layer, read off the model."""
        from generator.reading import layer_weights

        return layer_weights(self._graph(), self.task.plan, self.task.units)

    def _graph(self) -> Any:
        """The traced model; only where weights must be read is it opened, and torch imported."""
        with leaving_at_once():
            from generator.survey import opened_once

        return opened_once(self.task.model, self.task.folder, self.task.key).graph

    # -- tables

    @property
    def tables_key(self) -> str:
        """Of the tables of largest connections."""
        options, code = self.task.options, code_digest("generator.analyses.tables")
        return key_of(what="tables", weights=self.weights_key, show=options.show, scaled=options.scaled, code=code)

    def tabulate(self) -> tuple[PairTables, ...]:
        """The tables of every pair of layers."""
        from generator.analyses.tables import pair_of

        options = self.task.options
        pairs = (pair_of(each, options.show, options.scaled) for each in self.held.weights)
        return tuple(PairTables(pair.reads, pair.writes, pair.norms, pair.lean) for pair in pairs)

    # -- everything else that is said of a layer

    def facts(self) -> Iterable[tuple[str, str, Callable[[], Any]]]:
        """(field of LayerFacts, key, what makes it) for everything that is said of the layer beside its tables."""
        task, weights = self.task, self.weights_key
        yield "faces", self._faces_key(), self._faces
        yield (
            "statistics",
            key_of(what="statistics", of=weights, code=code_digest("generator.analyses.statistics")),
            self._statistics,
        )
        if task.looks:
            yield (
                "looks",
                key_of(what="looks", of=task.sha256, at=task.plan.layer.address, code=code_digest("generator.context.looks")),
                self._looks,
            )

    def _statistics(self) -> Statistics | None:
        from generator.analyses.statistics import statistics

        held = self.held
        return statistics(self.outside, held.bias, held.norm_scale, held.stored) if self.outside else None

    def _looks(self) -> Looks | None:
        from generator.context.looks import read_looks

        layer = self.task.plan.layer
        return read_looks(Path(self.task.looks), self.task.sha256, layer.address, layer.neurons)

    def _faces_key(self) -> str:
        options = self.task.options
        said = (options.factors, options.method, options.side, options.seed)
        used = [each.digest for each in self.farther()]
        return key_of(
            what="faces", of=self.weights_key, farther=used, options=said, code=code_digest("generator.analyses.faces")
        )

    def _faces(self) -> Faces:
        from generator.analyses.faces import FaceOptions, make_faces

        options = self.task.options
        candidates = [*self.outside, *(each for farther in self.farther() for each in self._expanded(farther))]
        how = FaceOptions(options.factors, options.method, options.side, options.seed)
        return make_faces(candidates, self.task.plan.layer.neurons, how)

    # -- pictures of neurons whose own weights have none

    def farther(self) -> list[Farther]:
        """The layers farther back whose weights a picture needs.

        Neurons whose kernels read every position alike are shown by their expanded weights on the layers before those they
        read, as far back as it takes to find a kernel that does not.
        """
        used: list[Farther] = []
        if not _is_flat(self.outside):
            return used
        left = self._left(used)
        for farther in self.task.plan.farther:
            if not left.any():
                break
            used.append(farther)
            left = self._left(used)
        return used

    def _left(self, used: Sequence[Farther]) -> np.ndarray:
        """Which neurons have no picture yet, with the weights on these farther layers too: bool [unit]."""
        digests, code = [each.digest for each in used], code_digest("generator.reading", "generator.analyses.farther")
        key = key_of(what="flat", of=self.weights_key, farther=digests, code=code)
        if not self.store.has(key):
            from generator.analyses.farther import flat_units

            seen = self._expanded(used[-1]) if used else self.outside
            before = self._left(used[:-1]) if used else np.ones(self.task.plan.layer.neurons, bool)
            self.store.put(key, np.all([before, *(flat_units(each.kernel) for each in seen)], axis=0))
        return np.asarray(self.store.get(key, trusted=True))

    def _expanded(self, farther: Farther) -> list[Weights]:
        """The expanded weights on some farther layers; none where a path on the way cannot be read."""
        from generator.reading import expanded_or_none

        if farther not in self._farther:
            self._farther[farther] = expanded_or_none(
                self._graph(), self.task.plan.layer.address, farther.sources, self.task.units
            )
        return self._farther[farther]


def _is_flat(outside: Sequence[Weights]) -> bool:
    """Whether a layer's own weights leave neurons without a picture: no kernel that slides has more than one position."""
    if not outside or any(each.grid != "sliding" for each in outside):
        return False
    return not any(each.direct and each.kernel.shape[2:] != (1, 1) for each in outside)
