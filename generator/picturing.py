"""Faces of a model's neurons beside their weights: to the pixels, classes pushed, visualizations, examples, given pictures.

Each is made for many layers at once, as the work they share asks for, kept layer by layer, and made only where it is not kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from generator.errors import ModelError
from generator.facespec import FacesSpec, ImagesSpec, VisualizationSpec
from generator.interrupts import heed, leaving_at_once
from generator.keeping.code import code_digest
from generator.keeping.files import stamp_of
from generator.keeping.store import Store, key_of
from generator.plans import Planned
from generator.records import LayerPlan
from generator.spec import ModelSpec, Spec

if TYPE_CHECKING:
    from generator.context.given import Asked

LIMIT = 64  # pixels either way of the largest field that is drawn unless the spec asks for all
STATE = "state"  # folder in the cache for what long runs have done so far


@dataclass(frozen=True)
class Wanted:
    """One result: a field of LayerFacts, of a layer, under a key."""

    address: str
    key: str
    chosen: tuple[int, ...]  # its neurons that get a page
    neurons: int


@dataclass(frozen=True)
class FaceTask:
    """Faces of one kind of one model, to be made by any process."""

    field: str  # of LayerFacts
    model: ModelSpec
    folder: Path  # of the spec
    key: str  # of what the model is made of
    faces: FacesSpec
    place: str  # where images or pictures are, '' for neither
    sha256: str  # of the model's weights
    mean: tuple[float, ...] | None  # taken from its images, 0..1; None for nothing
    std: tuple[float, ...] | None  # they are divided by; None for nothing
    wanted: tuple[Wanted, ...]
    cache: Path
    address: str  # of the cache on a cluster, '' for none


@dataclass(frozen=True)
class FacesDone:
    """What has become of a task."""

    made: int  # layers that something was worked out for
    notes: tuple[str, ...]


def picture(task: FaceTask) -> FacesDone:
    """Make what is not kept yet."""
    store = Store(task.cache, task.address)
    missing = [each for each in task.wanted if not store.has(each.key)]
    if missing:
        try:
            for wanted, value in _MAKERS[task.field](replace(task, wanted=tuple(missing))):
                store.put(wanted.key, value)
        except ModelError as error:
            raise ModelError(f"{task.model.name}: {error}") from error
    return FacesDone(len(missing), (*store.notes, *(_unreadable(task, store) if task.field == "given" else ())))


def _unreadable(task: FaceTask, store: Store) -> Iterator[str]:
    """A line on the given pictures that cannot be read, whenever they were looked at."""
    from generator.context.given import unreadable

    line = unreadable([store.get(each.key, trusted=True) for each in task.wanted])
    if line:
        yield f"{task.model.name}: {line}"


# -- which there are to be ------------------------------------------------------------------------------------------------


def face_tasks(spec: Spec, model: Planned, store: Store) -> Iterator[FaceTask]:
    """What a spec asks for of one model; raises SpecError where files it names are not there."""
    faces = spec.faces_of(model.spec)
    plan = model.plan
    made_of = (plan.provenance.sha256, plan.mean, plan.std)
    task = FaceTask("", model.spec, spec.folder, model.key, faces, "", *made_of, (), store.folder, store.address)
    yield replace(task, field="pixels", wanted=_wanted(model, faces, "pixels", _pixels_key(faces)))
    if faces.classes:
        yield replace(task, field="pushes", wanted=_wanted(model, faces, "", _pushes_key(faces)))
    if faces.pictures.path != "none":
        place = str(spec.faces_place(model.spec, "pictures"))
        yield replace(task, field="given", place=place, wanted=_wanted(model, faces, "picture", _given_key(task, place)))
    if faces.images.path != "none":
        place = str(spec.faces_place(model.spec, "images"))
        yield replace(task, field="examples", place=place, wanted=_wanted(model, faces, "examples", _examples_key(task, place)))
    if faces.visualization.kind == "make":  # takes longest: a task a layer
        for each in _wanted(model, faces, "visualization", _looks_key(task)):
            yield replace(task, field="looks", wanted=(each,))


def face_remarks(spec: Spec, models: Sequence[Planned]) -> Iterator[str]:
    """What is to be said of what a spec asks for, and is no mistake, a line each."""
    asked: dict[Path, list[Asked]] = defaultdict(list)
    for model in models:
        faces = spec.faces_of(model.spec)
        if model.plan.mean is None and (faces.visualization.kind == "make" or faces.images.path != "none"):
            yield (
                f"{model.plan.name}: images go in as they are, 0 to 1: its source names no normalization; if it has one, "
                "say so under 'normalize'"
            )
        if faces.pictures.path != "none":
            asked[spec.faces_place(model.spec, "pictures")].append(_asked(model, faces))
    if asked:
        from generator.context.given import remarks

        for place, those in asked.items():
            yield from remarks(place, those)


def _asked(model: Planned, faces: FacesSpec) -> Asked:
    from generator.context.given import Asked

    neurons = {one.layer.address: one.layer.neurons for one in model.plan.layers}
    shown = {each.address: each.chosen for each in _wanted(model, faces, "picture", lambda plan, _: plan.layer.address)}
    return Asked(model.plan.name, neurons, shown)


def _wanted(
    model: Planned, faces: FacesSpec, face: str, key: Callable[[LayerPlan, tuple[int, ...]], str]
) -> tuple[Wanted, ...]:
    """The layers that are to have a face ('' for something that is none), each with its key; '' is of one that cannot."""
    found = []
    for plan, units in zip(model.plan.layers, model.chosen, strict=True):
        layer, chosen = plan.layer, tuple(units.tolist())
        if layer.kind != "input" and (not face or face in faces.of(layer.address)) and (own := key(plan, chosen)):
            found.append(Wanted(layer.address, own, chosen, layer.neurons))
    return tuple(found)


Key = Callable[[LayerPlan, tuple[int, ...]], str]


def _pixels_key(faces: FacesSpec) -> Key:
    code = code_digest("generator.reach")
    return lambda plan, _: key_of(what="pixels", of=plan.pixels, all=faces.pixels == "all", code=code)


def _pushes_key(faces: FacesSpec) -> Key:
    code = code_digest("generator.logits")
    return lambda plan, _: key_of(what="pushes", of=plan.pushes, count=faces.classes, code=code) if plan.pushes else ""


def _given_key(task: FaceTask, place: str) -> Key:
    from generator.context.given import identity, places_of

    places, pictures, code = (
        places_of(Path(place), task.model.name),
        task.faces.pictures,
        code_digest("generator.context.given"),
    )
    said = (pictures.licence, pictures.credit)
    return lambda plan, chosen: key_of(
        what="given", of=identity(places, plan.layer.address, chosen), at=plan.layer.address, said=said, code=code
    )


def _examples_key(task: FaceTask, place: str) -> Key:
    code, images = code_digest("generator.context.examples"), task.faces.images.model_dump(mode="json", exclude={"path"})
    seen = {"of": stamp_of(Path(place)), "fed": [task.mean, task.std]}
    return lambda plan, _: key_of(what="examples", model=task.key, at=plan.layer.address, images=images, **seen, code=code)


def _looks_key(task: FaceTask) -> Key:
    how, fed = task.faces.visualization.model_dump(mode="json"), [task.mean, task.std]
    code = code_digest("generator.context.visualize", "generator.context.looks")
    return lambda plan, _: key_of(what="looks", model=task.key, at=plan.layer.address, how=how, fed=fed, code=code)


# -- making them ----------------------------------------------------------------------------------------------------------

Made = Iterator[tuple[Wanted, Any]]


def _opened(task: FaceTask) -> Any:
    with leaving_at_once():
        from generator.survey import opened_once

    return opened_once(task.model, task.folder, task.key)


def subject_of(task: FaceTask) -> Any:
    """The `Subject` of a task: its model, opened, and how it is fed."""
    from generator.context.visualize import Subject

    return Subject(_opened(task).graph, task.sha256, task.mean, task.std)


def _pixels(task: FaceTask) -> Made:
    graph, by_address = _opened(task).graph, {each.address: each for each in task.wanted}
    from generator.reach import pixel_pictures

    for address, found in pixel_pictures(graph, list(by_address), None if task.faces.pixels == "all" else LIMIT):
        yield by_address[address], None if isinstance(found, str) else found


def _pushes(task: FaceTask) -> Made:
    graph = _opened(task).graph
    from generator.logits import pushed_classes

    found = pushed_classes(graph, [each.address for each in task.wanted], task.faces.classes)
    yield from ((each, found.get(each.address)) for each in task.wanted)


def _given(task: FaceTask) -> Made:
    from generator.context.given import given_pictures, places_of

    places, said = places_of(Path(task.place), task.model.name), task.faces.pictures
    for each in task.wanted:
        yield each, given_pictures(places, each.address, each.chosen, each.neurons, said.licence, said.credit)


def _examples(task: FaceTask) -> Made:
    from generator.context.examples import Source, collect_examples
    from generator.context.images import open_images

    said, folder, options = task.faces.images, task.cache / STATE, examples_options(task.faces.images)
    with open_images(Path(task.place), said.count or None) as images:
        addresses = [each.address for each in task.wanted]
        found = collect_examples(subject_of(task), addresses, images, options, folder, Source(said.credit, said.licence), heed)
        yield from ((each, found[each.address]) for each in task.wanted)


def examples_options(said: ImagesSpec) -> Any:
    """What a spec says of examples, as `ExampleOptions`."""
    from generator.context.examples import ExampleOptions

    return ExampleOptions(top=said.top, spread=said.spread)


def _looks(task: FaceTask) -> Made:
    from generator.context.looks import joined_looks
    from generator.context.visualize import visualize

    subject, runs = subject_of(task), looks_options(task.faces.visualization)
    for each in task.wanted:
        made = [visualize(subject, each.address, range(each.neurons), one, task.cache / STATE, heed) for one in runs]
        yield each, joined_looks(task.faces.visualization.objective, *made)


def looks_options(how: VisualizationSpec) -> list[Any]:
    """What a spec says of visualizations, as `Options` of each run: up, and down where that is asked for."""
    from generator.context.visualize import Options

    options = Options((how.size, how.size), how.objective, images=how.images, steps=how.steps, seed=how.seed)
    return [options, replace(options, negative=True)] if how.negative else [options]


_MAKERS: dict[str, Callable[[FaceTask], Made]] = {
    "pixels": _pixels,
    "pushes": _pushes,
    "given": _given,
    "examples": _examples,
    "looks": _looks,
}
