"""What a build of a spec will make and take: counted where it can be counted, else told from samples of every layer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import replace
from math import ceil
from typing import Any, NamedTuple

from generator.addresses import FLAT, folder, neuron_folder
from generator.build import atlas_facts, layer_task, places_in, store_of
from generator.facespec import NONE
from generator.forecasting.facetimes import FaceTimes, face_times
from generator.forecasting.measuring import Measured, MeasureTask, bytes_of
from generator.forecasting.sampling import Sampled, SampleStore, SampleTask, sample_sizes
from generator.forecasting.standins import Known, stand_ins
from generator.inputs import site_inputs
from generator.keeping.files import Digests, stamp_of
from generator.keeping.store import Store, key_of
from generator.look import Look, Renderer, look_of
from generator.pages.common import ModelContext, places_of
from generator.picturing import STATE, FaceTask, face_tasks
from generator.plans import planned
from generator.progress import Progress
from generator.records import AtlasFacts, LayerFacts, ModelFacts
from generator.render import count_files, count_pages, model_files, root_files
from generator.spec import Spec
from generator.workers import Workers, processors

CHEAP = ("pixels", "pushes", "given")  # fields of LayerFacts that are worked out for good, with all of their neurons
WRITING = 1e-4  # seconds of processor time to write a file and to see whether it has changed


class Forecast(NamedTuple):
    """What a model, or the whole site, will be and take."""

    name: str
    layers: int
    neurons: int  # that have a page
    kernels: int  # connections
    pages: int
    files: int
    bytes: int
    largest: int  # bytes of the largest file
    widest: int  # entries of the fullest folder
    where: str  # which that is
    seconds: float  # of processor time, but for what each process takes to begin
    opening: float  # of processor time, for a process to begin and to open the models
    weights: int  # bytes of the weights of the layer that has most
    own: int  # bytes of memory of a process with the model open, 0 where the system does not tell
    shared: int  # bytes that such processes share
    faces: int = 0  # bytes of all faces of a neuron that has a page, on average
    face_budget: int = 0  # what they may be; 0 for the site, whose models may differ
    threaded: float = 0.0  # of `seconds`, those that all processors share, however many processes there are
    longest: float = 0.0  # of `seconds`, those that no number of processes makes fewer
    at_most: bool = False  # whether they may well be less: visualizations that end before their last step
    kept: tuple[str, ...] = ()  # faces of which something is kept, whose time is not among them, in words


def forecast(spec: Spec, workers: Workers, progress: Progress) -> tuple[Forecast, tuple[Forecast, ...]]:
    """The whole site and each of its models, before any of it is made. What was found once is kept.

    Raises:
        SpecError, ModelError, LayerError, RefusedError: as a build would.
    """
    look, store = look_of(spec), store_of(spec)
    digests = Digests(store.folder / "files.json")
    key = key_of(what="forecast", of=site_inputs(spec, look, "", digests), kept=_begun(spec, store))
    if not store.has(key):
        store.begin()
        store.put(key, _Forecasting(spec, look, store, digests, workers, progress).out())
        digests.save()
    whole, *models = (Forecast(*each) for each in store.get(key, trusted=True))
    return whole, tuple(models)


def _begun(spec: Spec, store: Store) -> str:
    """What tells how far the faces are that take long; '' where the spec asks for none."""
    every = [spec.faces_of(model) for model in spec.models]
    dear = any(faces.visualization.kind == "make" or faces.images.path != NONE for faces in every)
    return stamp_of(store.folder / STATE) if dear else ""


FIRST = 80 * 10**6  # bytes of memory of the process that hands out the work
COPIES = 3  # of a layer's weights, or as much beside them, while it is worked out
BEGINNING = 1.0  # seconds before the first process is at work, and after the last


def seconds_with(site: Forecast, models: int, jobs: int) -> float:
    """Seconds of a build from nothing by so many processes with a processor each; rough.

    One process opens a model that stays open; of several, one surveys it and then each opens it for itself.
    """
    openings = 1 if jobs == 1 and models == 1 else 1 + jobs
    shared = (site.seconds - site.threaded + openings * site.opening) / jobs
    return BEGINNING + max(shared, site.longest) + site.threaded / max(jobs, processors())


def memory_with(site: Forecast, jobs: int) -> int:
    """Bytes of memory of all processes of such a build together at its peak, rough; 0 where the system does not tell."""
    return FIRST + site.shared + jobs * (site.own + COPIES * site.weights) if site.own else 0


class _Forecasting:
    """The work of one forecast."""

    def __init__(self, spec: Spec, look: Look, store: Store, digests: Digests, workers: Workers, progress: Progress) -> None:
        self.spec, self.look, self.store, self.workers, self.progress = spec, look, store, workers, progress
        self.models = planned(spec, store, digests, workers, progress)
        spec.check_faces({each.plan.name: [one.layer.address for one in each.plan.layers] for each in self.models})
        self.atlas = atlas_facts(spec, places_in(self.models))

    def out(self) -> tuple[tuple[Any, ...], ...]:
        """The forecast of the whole site, then that of each model."""
        known, for_faces = self._known()
        stores = SampleStore(self.store.folder), self.store
        models = [stand_ins(one.plan, each, *stores).whole for one, each in zip(self.models, known, strict=True)]
        atlas = replace(self.atlas, models=tuple(models))
        contexts = [ModelContext(atlas, model) for model in models]
        measured, renderer = self._measured(known, contexts), Renderer(atlas, self.look)
        parts = [self._of_model(*each, renderer) for each in zip(known, measured, contexts, for_faces, strict=True)]
        return tuple(tuple(each) for each in (self._of_all(atlas, parts, contexts, renderer), *parts))

    def _known(self) -> tuple[list[tuple[Known, ...]], list[FaceTimes]]:
        """What is known of every layer of every model, and what the faces of each model take."""
        samples, faces, times = self._samples(), *self._faces()
        known = []
        for number, model in enumerate(self.models):
            wanted = self.spec.faces_of(model.spec)
            tiles = {one.address: (one.rows, one.cols) for one in times[number].tiles}
            addresses = [one.layer.address for one in model.plan.layers]
            layers = zip(samples[number], model.chosen, addresses, strict=True)
            known.append(
                tuple(
                    Known(one, units, wanted.of(at), tuple(faces[number, at]), wanted, tiles.get(at, (0, 0)))
                    for one, units, at in layers
                )
            )
        return known, times

    def _samples(self) -> list[tuple[Sampled, ...]]:
        """The samples of every layer of every model."""
        rows = self.spec.connections.show
        tasks = [
            SampleTask(layer_task(self.spec, self.store, model, place), sample_sizes(one.layer.neurons, rows))
            for model in self.models
            for place, one in enumerate(model.plan.layers)
        ]
        return self._by_model(self._each("samples", "generator.forecasting.sampling:sample", tasks))

    def _faces(self) -> tuple[dict[tuple[int, str], list[tuple[str, str]]], list[FaceTimes]]:
        """(field, key) of the faces, by model and layer, made for good where they cost little; what they take, by model."""
        every = [
            (number, task) for number, model in enumerate(self.models) for task in face_tasks(self.spec, model, self.store)
        ]
        cheap = [(number, task) for number, task in every if task.wanted and task.field in CHEAP]
        found: dict[tuple[int, str], list[tuple[str, str]]] = defaultdict(list)
        seconds = [0.0] * len(self.models)
        took = self._each("faces", "generator.forecasting.sampling:picture_timed", [task for _, task in cheap])
        for (number, task), spent in zip(cheap, took, strict=True):
            seconds[number] += spent
            for one in task.wanted:
                found[number, one.address].append((task.field, one.key))
        dear = [(number, task) for number, task in every if task.wanted and task.field not in CHEAP]
        made = {one.key for _, task in dear for one in task.wanted if self.store.has(one.key)}
        for number, task in dear:
            for one in task.wanted:
                found[number, one.address].append((task.field, one.key if one.key in made else ""))
        times = self._dear(dear, made)
        return found, [one._replace(seconds=one.seconds + spent) for one, spent in zip(times, seconds, strict=True)]

    def _dear(self, every: Sequence[tuple[int, FaceTask]], made: Collection[str]) -> list[FaceTimes]:
        """What the faces that take long will take, by model; `made`: keys of those that are there."""
        due = [(number, left) for number, task in every if (left := _without(task, made)).wanted]
        tasks = [task for _, task in due]
        took = self._each("sample faces", "generator.forecasting.facetimes:face_time", tasks) if tasks else []
        times = []
        for place in range(len(self.models)):
            own = [(task, spent) for (number, task), spent in zip(due, took, strict=True) if number == place]
            kept = {task.field for number, task in every if number == place and _without(task, made) != task}
            times.append(face_times(own, kept))
        return times

    def _measured(self, known: Sequence[tuple[Known, ...]], contexts: Sequence[ModelContext]) -> list[tuple[Measured, ...]]:
        """What the files of every layer of every model take."""
        places, cache = places_of(contexts[0].atlas), self.store.folder
        tasks = [
            MeasureTask(model.key, place, self.atlas, model.plan, layers, places, self.look, cache)
            for model, layers in zip(self.models, known, strict=True)
            for place in range(len(layers))
        ]
        return self._by_model(self._each("sample pages", "generator.forecasting.measuring:measure", tasks))

    def _each(self, name: str, function: str, tasks: Sequence[Any]) -> list[Any]:
        """The results of tasks, in their order."""
        found: dict[int, Any] = {}
        with self.progress.stage(name, len(tasks)) as step, closing(self.workers.each(function, tasks)) as done:
            for place, result in done:
                found[place] = result
                step(1)
        return [found[place] for place in range(len(tasks))]

    def _by_model(self, found: Sequence[Any]) -> list[tuple[Any, ...]]:
        """What was found of every layer, in order, as a tuple for each model."""
        rest = iter(found)
        return [tuple(next(rest) for _ in model.plan.layers) for model in self.models]

    def _of_model(
        self, known: Sequence[Known], measured: Sequence[Measured], context: ModelContext, faces: FaceTimes, renderer: Renderer
    ) -> Forecast:
        model, own = context.model, list(model_files(context, renderer))
        bare = replace(self.atlas, families=(), notes=())
        alone, none = replace(bare, models=(model,)), replace(bare, models=())
        folders = {name for facts in model.layers for name in _folders_of(facts, self.atlas.per_layer)}
        inside = len(folders | {file.path.split("/")[1] for file in own})
        widest, where = max([(inside, ""), *((one.entries, f"/{one.where}") for one in measured)])
        kernels = [pair.weights.kernel for facts in model.layers for pair in facts.reads]
        samples = [one.samples for one in known]
        return Forecast(
            name=model.name,
            layers=len(model.layers),
            neurons=sum(len(facts.chosen) for facts in model.layers),
            kernels=sum(kernel.shape[0] * kernel.shape[1] for kernel in kernels),
            pages=count_pages(alone) - count_pages(none),
            files=count_files(alone) - count_files(none),
            bytes=round(bytes_of(own, self.atlas.site_url) + sum(one.bytes for one in measured)),
            faces=ceil(sum(one.faces for one in measured) / max(1, sum(len(facts.chosen) for facts in model.layers))),
            largest=round(max(one.largest for one in measured)),
            widest=widest,
            where=f"{context.folder}{where}",
            seconds=sum(one.seconds for one in measured) + sum(map(_analysis, samples, model.layers)) + faces.seconds,
            opening=max(one.opening.seconds for one in samples),
            weights=_weights(model),
            own=max(one.opening.own for one in samples),
            shared=max(one.opening.shared for one in samples),
            face_budget=max(one.asked.bytes for one in known),
            threaded=faces.threaded,
            longest=faces.longest,
            at_most=faces.at_most,
            kept=faces.kept,
        )

    def _of_all(
        self, atlas: AtlasFacts, parts: Sequence[Forecast], contexts: Sequence[ModelContext], renderer: Renderer
    ) -> Forecast:
        root, files = list(root_files(contexts, renderer)), count_files(atlas, self.look)
        inside = len({file.path.split("/")[0] for file in root} | {context.folder for context in contexts})
        widest, where = max([(inside + bool(atlas.site_url), ""), *((one.widest, one.where) for one in parts)])
        return Forecast(
            name="",
            layers=sum(one.layers for one in parts),
            neurons=sum(one.neurons for one in parts),
            kernels=sum(one.kernels for one in parts),
            pages=count_pages(atlas),
            files=files,
            bytes=bytes_of(root, self.atlas.site_url) + sum(one.bytes for one in parts),
            faces=ceil(sum(one.faces * one.neurons for one in parts) / max(1, sum(one.neurons for one in parts))),
            largest=max([len(file.content) for file in root] + [one.largest for one in parts]),
            widest=widest,
            where=where,
            seconds=sum(one.seconds for one in parts) + WRITING * files,
            opening=sum(one.opening for one in parts),
            weights=max(one.weights for one in parts),
            own=max(one.own for one in parts),
            shared=max(one.shared for one in parts),
            threaded=sum(one.threaded for one in parts),
            longest=max(one.longest for one in parts),
            at_most=any(one.at_most for one in parts),
            kept=tuple(dict.fromkeys(word for one in parts for word in one.kept)),
        )


def _without(task: FaceTask, made: Collection[str]) -> FaceTask:
    """A task without the results under some keys."""
    return replace(task, wanted=tuple(one for one in task.wanted if one.key not in made))


def _analysis(found: Sampled, facts: LayerFacts) -> float:
    """Seconds of processor time to work out all of a layer: on the line through its samples."""
    least, most = found.samples[0], found.samples[-1]
    small, large = len(least.units), len(most.units)
    if small == large:
        return most.seconds
    step = max(0.0, most.seconds - least.seconds) / (large - small)
    return least.seconds + step * (facts.layer.neurons - small)


def _weights(model: ModelFacts) -> int:
    """Bytes of the weights of the layer that has most."""
    return max(sum(4 * pair.weights.kernel.size for pair in facts.reads) for facts in model.layers)


def _folders_of(facts: LayerFacts, per_layer: bool) -> set[str]:
    """The folders of a layer in that of its model: its own, and where it is large one for each thousand of its neurons."""
    layer = facts.layer
    several = () if per_layer or layer.neurons <= FLAT else facts.chosen.tolist()
    return {folder(layer.address), *(neuron_folder(layer.address, unit, layer.neurons) for unit in several)}
