"""One part of a site rendered: its root, the pages of a model, those of a layer. What has the bytes it had is not written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from generator.authored.prose import Places
from generator.facts import model_facts
from generator.keeping.history import NOTHING, Pictured, Written
from generator.keeping.store import Store
from generator.keeping.tensors import let_go
from generator.look import Look, Renderer
from generator.pages.common import ModelContext
from generator.records import AtlasFacts, Results
from generator.render import File, faces_of, model_files, own_files, pair_files, root_files
from generator.site import put_file

ROOT = "."  # the name of the root among the parts of a site


@dataclass(frozen=True)
class PartTask:
    """A part of a site to be rendered, by any process."""

    name: str
    place: int  # of the layer in its model; -1 for the pages of the model itself, and for the root
    atlas: AtlasFacts  # without its models
    models: tuple[Results, ...]  # those the part is about: all of them for the root, else one
    shared: str  # digest of everything that goes for all parts that are about these models
    places: Places
    look: Look
    cache: Path
    address: str  # of the cache on a cluster, '' for none
    stage: str  # folder the files go into; '' where it may be out of reach: they are then kept as one file under `key`
    key: str  # of everything the part depends on, but the budget of faces
    before: tuple[Written, ...]  # its files that stand in the site as they were written
    pair: int = -1  # which of the pages of pairs it is, of the layer and those it reads; -1 for those of the layer itself


@dataclass(frozen=True)
class PartDone:
    """The files of a part, and how many of them are not what they were."""

    name: str
    files: tuple[Written, ...]
    fresh: int
    pictured: Pictured


def render_part(task: PartTask) -> PartDone:
    """Render a part and put those of its files that changed where the task says.

    Raises:
        OverrideError: a template of the user's that breaks.
        StoreError: a result it needs has gone since.
    """
    before = {file.path: file for file in task.before}
    made, pictured = _made_of(task)
    if task.stage:
        files = tuple(delivered(each, Path(task.stage), before) for each in made)
    else:
        files = tuple(_bundled(task, made, before))
    let_go()  # of what was looked at: no part needs memory for those before
    return PartDone(task.name, files, sum(each != before.get(each.path) for each in files), pictured)


def _made_of(task: PartTask) -> tuple[Iterator[File], Pictured]:
    """The files of a part, and what the faces among them take."""
    contexts, renderer = _prepared(task)
    if task.name == ROOT:
        return root_files(contexts, renderer), NOTHING
    if task.place < 0:
        return model_files(contexts[0], renderer), NOTHING
    if task.pair >= 0:
        return pair_files(contexts[0], task.place, renderer, [task.pair]), NOTHING
    faces = faces_of(contexts[0], task.place)
    pictured = Pictured(faces.taken.all, faces.taken.pages, faces.least, faces.below)
    return own_files(contexts[0], task.place, renderer, faces), pictured


Shared = tuple[list[ModelContext], Renderer]
_last: tuple[str, Shared] | None = None  # what the part rendered last in this process needed


def _prepared(task: PartTask) -> Shared:
    """What parts share that are about the same models, made once."""
    global _last
    held = _last
    if held is None or held[0] != task.shared:
        held = _last = None  # before the next are made: what is of two models is never held at once
        held = _last = task.shared, _made(task)
    return held[1]


def _made(task: PartTask) -> Shared:
    store = Store(task.cache, task.address)
    atlas = replace(task.atlas, models=tuple(model_facts(each, store) for each in task.models))
    return [ModelContext(atlas, model, task.places) for model in atlas.models], Renderer(atlas, task.look)


def _described(file: File, changed: int = 0) -> Written:
    return Written(
        file.path, len(file.content), hashlib.blake2b(file.content, digest_size=16).hexdigest(), file.listed, changed
    )


def delivered(file: File, stage: Path, before: Mapping[str, Written]) -> Written:
    """Put a file into the stage, unless it is what stands in the site already."""
    now, then = _described(file), before.get(file.path)
    if then is not None and now == then._replace(changed=0):
        return then
    return now._replace(changed=put_file(stage, file.path, file.content).st_mtime_ns)


# -- where the stage may be out of reach ----------------------------------------------------------------------------------


def _bundled(task: PartTask, files: Iterable[File], before: Mapping[str, Written]) -> Iterator[Written]:
    """Keep what changed as one file, to be unpacked by whoever writes the site; such files have no time of change yet."""
    fresh: list[tuple[str, np.ndarray]] = []
    for file in files:
        now, then = _described(file), before.get(file.path)
        same = then is not None and now == then._replace(changed=0)
        if not same:
            fresh.append((file.path, np.frombuffer(file.content, np.uint8)))
        yield then if same and then else now
    Store(task.cache, task.address).put(task.key, tuple(fresh))


def unbundled(done: PartDone, key: str, store: Store, stage: Path) -> PartDone:
    """Put the files of a part that were kept as one into the stage; that one file goes."""
    changed = {path: put_file(stage, path, held.tobytes()).st_mtime_ns for path, held in store.get(key)}
    store.drop(key)
    files = tuple(each._replace(changed=changed[each.path]) if each.path in changed else each for each in done.files)
    return replace(done, files=files)
