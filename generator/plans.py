"""The models of a spec before anything is worked out: each surveyed once, and again only where what it is made of changes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from generator.errors import LayerError, SpecError, nearest
from generator.inputs import model_inputs
from generator.interrupts import leaving_at_once
from generator.keeping.files import Digests
from generator.keeping.store import Store, key_of
from generator.progress import Progress
from generator.records import ModelPlan
from generator.spec import ModelSpec, Spec
from generator.workers import Workers

NEXT = ("generator.survey", "generator.analyses.faces", "generator.analyses.statistics")  # what the stage after it imports


@dataclass(frozen=True)
class SurveyTask:
    """A model to be surveyed, by any process."""

    model: ModelSpec
    folder: Path  # of the spec
    key: str  # of what the model is made of
    cache: Path
    address: str  # of the cache on a cluster, '' for none


@dataclass(frozen=True)
class Planned:
    """A model with its plan and the neurons of each layer that get a page."""

    spec: ModelSpec
    key: str  # of what the model is made of
    plan: ModelPlan
    chosen: tuple[np.ndarray, ...]  # int32 [unit] for each layer, ascending


def survey_task(task: SurveyTask) -> tuple[str, ...]:
    """Survey a model and keep its plan; returns the mistakes in what the spec says of its layers, a line each."""
    with leaving_at_once():
        from generator.survey import survey

    try:
        Store(task.cache, task.address).put(_plan_key(task.key), survey(task.model, task.folder, task.key))
    except SpecError as error:
        return error.problems
    return ()


def _plan_key(key: str) -> str:
    return key_of(what="plan", of=key)


def planned(spec: Spec, store: Store, digests: Digests, workers: Workers, progress: Progress) -> list[Planned]:
    """Every model of a spec, with its layers and neurons; all mistakes in them show at once.

    Raises:
        SpecError: layers or neurons that a model does not have, one line each.
        ModelError: a model that cannot be opened.
    """
    keys = [model_inputs(model, spec.folder, digests) for model in spec.models]
    _survey(spec, keys, store, workers, progress)
    found: list[Planned] = []
    problems: list[str] = []
    for model, key in zip(spec.models, keys, strict=True):
        plan = _normalized(model, store.get(_plan_key(key)))
        problems += model.misfits(plan.input_shape[0])
        try:
            found.append(Planned(model, key, plan, _units(model, plan)))
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems)
    return found


def _survey(spec: Spec, keys: Sequence[str], store: Store, workers: Workers, progress: Progress) -> None:
    """Survey the models that have no plan yet."""
    models = zip(spec.models, keys, strict=True)
    tasks = [
        SurveyTask(model, spec.folder, key, store.folder, store.address)
        for model, key in models
        if not store.has(_plan_key(key))
    ]
    for note in store.notes:
        progress.note(note)
    problems: dict[int, tuple[str, ...]] = {}
    with (
        progress.stage("models", len(tasks)) as step,
        closing(workers.each("generator.plans:survey_task", tasks, NEXT, together=len(tasks) == 1)) as done,
    ):
        for place, wrong in done:
            problems[place] = wrong
            step(1)
    if any(problems.values()):
        raise SpecError([line for _, lines in sorted(problems.items()) for line in lines])


def _normalized(model: ModelSpec, plan: ModelPlan) -> ModelPlan:
    """A plan with the normalization that the spec names, if it names one; what the model is made of does not depend on it.

    Visualizations that come with the model were made with its own.
    """
    if model.normalize is None or (model.normalize.mean, model.normalize.std) == (plan.mean, plan.std):
        return plan
    return replace(plan, mean=model.normalize.mean, std=model.normalize.std, looks="")


def _units(model: ModelSpec, plan: ModelPlan) -> tuple[np.ndarray, ...]:
    """The neurons of each layer that get a page. Raises SpecError for those that there are not."""
    counts = {one.layer.address: one.layer.neurons for one in plan.layers}
    model.check_neurons(counts)
    return tuple(np.array(model.neurons_of(address, count), np.int32) for address, count in counts.items())


def only(models: Sequence[Planned], named: str) -> list[Planned]:
    """One layer, `MODEL/LAYER`, with the layers it reads and those that read it, which get no pages for their neurons.

    Raises:
        LayerError: no such model or layer.
    """
    name, slash, address = named.partition("/")
    names = [each.plan.name for each in models]
    if not slash or name not in names:
        raise LayerError(f"--only: found '{named}', expected MODEL/LAYER with a model of the spec{nearest(name, names)}")
    model = models[names.index(name)]
    layers = {one.layer.address: one for one in model.plan.layers}
    if address not in layers:
        raise LayerError(f"--only: {name} has no layer '{address}' in this spec{nearest(address, layers)}")
    return [_narrowed(model, address)]


def _narrowed(model: Planned, address: str) -> Planned:
    """A model as if it had no layers but one and its neighbours."""
    plans = model.plan.layers
    own = next(one for one in plans if one.layer.address == address)
    near = {address, *own.outside, *own.inside}
    near |= {one.layer.address for one in plans if address in (*one.outside, *one.inside)}
    kept = [(one, units) for one, units in zip(plans, model.chosen, strict=True) if one.layer.address in near]
    chosen = tuple(units if one.layer.address == address else units[:0] for one, units in kept)
    layers = tuple(one for one, _ in kept)
    return Planned(model.spec, model.key, replace(model.plan, layers=layers), chosen)
