"""The pipeline as a table of contents: inputs, models, layers, parts of the site, the swap.

What has not changed since the last build is not done again: a build of the same inputs looks at them and ends; else each model
is surveyed, each layer analysed and each part of the site rendered only where what it depends on is not what it was. A mistake
of the user's stops the run before anything is written; what was worked out until then is kept.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path

from generator.addresses import folder
from generator.analysis import LayerDone, LayerTask, Options
from generator.authored.families import load_families
from generator.authored.notes import load_notes
from generator.authored.prose import LayerPlace, Places
from generator.errors import ModelError, SpecError, nearest
from generator.facts import model_facts, places_of_results
from generator.globs import fits
from generator.inputs import model_inputs, site_inputs
from generator.keeping.files import Digests
from generator.keeping.history import History, Part, history_file, read_history, standing, write_history
from generator.keeping.store import Store
from generator.look import look_of
from generator.parts import SITEMAP, Parts
from generator.picturing import face_remarks, face_tasks
from generator.plans import Planned, only, planned
from generator.progress import Progress
from generator.publishing.sitemap import sitemaps
from generator.records import AtlasFacts, Family, LayerKeys, Note, Results
from generator.render import File
from generator.rendering import PartTask, delivered, unbundled
from generator.site import MARKER, Stage, Summary, prepare_target, staged
from generator.spec import Spec
from generator.workers import ALONE, Workers

Told = dict[str, dict[str, LayerPlace]]  # layers by model and address


@dataclass
class Report:
    """What a build did, for those who count."""

    made: Counter[str] = field(default_factory=Counter)  # results worked out, by name: 'weights', 'faces', 'tables', ...
    rendered: list[str] = field(default_factory=list)  # parts of the site
    written: list[str] = field(default_factory=list)  # files that are not what they were


@dataclass(frozen=True)
class Want:
    """What is asked of a build beside the spec and the target."""

    workers: Workers = ALONE
    only: str = ""  # MODEL/LAYER: nothing but this layer and what is beside it
    fresh: bool = False  # whether what the last build was made of is to be forgotten


def build(spec: Spec, target: Path, progress: Progress, want: Want | None = None, report: Report | None = None) -> Summary:
    """Build the site of a spec at `target`.

    Raises:
        SpecError, ModelError, LayerError, RefusedError: the user's mistakes, before anything is written.
        OverrideError: a template of the user's that breaks.
        AtlasError: the target cannot be written, or is not ours.
    """
    want, report = want or Want(), report or Report()
    prepare_target(target)
    look, store = look_of(spec), store_of(spec)
    digests, file = Digests(store.folder / "files.json"), history_file(store.folder, target)
    inputs = site_inputs(spec, look, want.only, digests)
    last = read_history(file)
    if want.fresh:
        store.clear()
        last = last and last.forgotten
    if last and last.inputs == inputs and stands(last, target):
        progress.note("nothing has changed since the last build")
        tell_faces(spec, last, progress)
        return last.summary
    work = Work(spec, store, digests, want, progress, report)
    atlas, results = work.out()
    parts = Parts(atlas, results, look, digests, store)
    history = work.site(inputs, parts, target, last)
    write_history(file, history)
    digests.save()
    store.trim(spec.cache.limit, history.used)
    tell_faces(spec, history, progress)
    return history.summary


def tell_faces(spec: Spec, history: History, progress: Progress) -> None:
    """Tell of the models whose faces take more than they may, however little is kept of them."""
    for line in spec.past_faces(pictured_bytes(spec, history)):
        progress.note(line)


def pictured_bytes(spec: Spec, history: History) -> dict[str, int]:
    """Bytes of all faces of a neuron that has a page, on average, by model."""
    found = {}
    for model in spec.models:
        layers = [part.pictured for name, part in history.parts.items() if name.startswith(f"{folder(model.name)}/")]
        found[model.name] = ceil(sum(one.bytes for one in layers) / max(1, sum(one.neurons for one in layers)))
    return found


def store_of(spec: Spec) -> Store:
    """Where the results of a spec are kept."""
    return Store(spec.folder / spec.cache.folder, spec.cache.address)


def stands(history: History, target: Path) -> bool:
    """Whether a site is as the last build left it."""
    files = [file for part in history.parts.values() for file in part.files]
    return (target / MARKER).is_file() and all(standing(target, files))


def gather(spec: Spec, progress: Progress, workers: Workers = ALONE) -> AtlasFacts:
    """Everything the site says, worked out."""
    store = store_of(spec)
    work = Work(spec, store, Digests(store.folder / "files.json"), Want(workers), progress, Report())
    atlas, results = work.out()
    return replace(atlas, models=tuple(model_facts(one, store) for one in results))


def check(spec: Spec) -> list[str]:
    """Hold a spec against its models: open them, choose their layers, compute nothing. One line a model.

    Raises:
        SpecError, ModelError, LayerError: as `build`.
    """
    look_of(spec)
    store = store_of(spec)
    models = planned(spec, store, Digests(store.folder / "files.json"), ALONE, Progress(quiet=True))
    spec.check_faces({each.plan.name: [one.layer.address for one in each.plan.layers] for each in models})
    atlas_facts(spec, places_in(models))
    return [told(each) for each in models]


def told(model: Planned) -> str:
    """One line on a model and its choice."""
    neurons = sum(len(units) for units in model.chosen)
    return f"{model.plan.name}: {len(model.chosen)} layers, {neurons:,} neurons with a page"


# -- what the user says ---------------------------------------------------------------------------------------------------


def places_in(models: Sequence[Planned]) -> Told:
    """Every layer of every model, with its neurons and those that have pages."""
    return places_of_results([Results(each.plan, each.chosen, (), ()) for each in models])


def atlas_facts(spec: Spec, places: Told) -> AtlasFacts:
    """What the spec and the files beside it say, held against the models; the models themselves are not in it yet.

    Raises:
        SpecError: no such file or folder; everything that is wrong in them.
    """
    check_oembed(spec, places)
    families, notes = named_and_noted(spec, places)
    return AtlasFacts(
        title=spec.title,
        description=spec.description,
        authors=spec.authors,
        licence=spec.licence,
        site_url=spec.site_url,
        scaled_by_source=spec.connections.scale_by_source,
        factors=spec.nmf.factors,
        models=(),
        families=families,
        notes=notes,
        oembed=spec.oembed,
        per_layer=spec.pages == "per-layer",
    )


def named_and_noted(spec: Spec, places: Told) -> tuple[tuple[Family, ...], tuple[Note, ...]]:
    """The families and the notes beside the spec."""
    families = load_families(spec.beside("families"), places) if spec.families else ()
    files = {family.name.lower(): family.file for family in families}
    return families, load_notes(spec.beside("notes"), Places(places, files)) if spec.notes else ()


def check_oembed(spec: Spec, places: Told) -> None:
    """Hold the layers that are to have oEmbed files against those of the atlas; raises SpecError for each that fits none."""
    layers = list(dict.fromkeys(address for one in places.values() for address in one))
    problems = [
        spec.problem(("oembed", index), f"found '{pattern}', expected a layer of the atlas{nearest(pattern, layers)}")
        for index, pattern in enumerate(spec.oembed)
        if not any(fits(address, pattern) for address in layers)
    ]
    if problems:
        raise SpecError(problems)


# -- the work -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Work:
    """One build: what it is of, who does it, who is told."""

    spec: Spec
    store: Store
    digests: Digests
    want: Want
    progress: Progress
    report: Report

    def out(self) -> tuple[AtlasFacts, tuple[Results, ...]]:
        """Everything the site says, worked out and kept: the atlas without its models, and where those are."""
        self.store.begin()
        models = planned(self.spec, self.store, self.digests, self.want.workers, self.progress)
        self.spec.check_faces({each.plan.name: [one.layer.address for one in each.plan.layers] for each in models})
        atlas = atlas_facts(self.spec, places_in(models))
        self._note(face_remarks(self.spec, models))
        if self.want.only:  # without families and notes: they tell of layers that are not there
            models, atlas = only(models, self.want.only), replace(atlas, families=(), notes=())
        results = tuple(self._analysed(models))
        self._hold_still(models, results)
        if "generator.survey" in sys.modules:  # a model was opened in this process: what follows has no use for it
            sys.modules["generator.survey"].forget()
        return atlas, results

    def _hold_still(self, models: Sequence[Planned], results: Sequence[Results]) -> None:
        """Make sure that the models were one and the same throughout: weights are read from their files as they are needed.

        Raises:
            ModelError: a file was written to meanwhile; what was worked out of it is dropped.
        """
        for model, one in zip(models, results, strict=True):
            if model_inputs(model.spec, self.spec.folder, self.digests) != model.key:
                for key in _used([one]):
                    self.store.drop(key)
                raise ModelError(f"{model.plan.name}: its files changed while they were read; build again")

    def _analysed(self, models: Sequence[Planned]) -> Iterator[Results]:
        """The layers of all models at once, the largest first, so that no worker is left with one at the end."""
        tasks = [self._task(model, place) for model in models for place in range(len(model.plan.layers))]
        tasks.sort(key=_cost, reverse=True)
        done: dict[tuple[str, str], LayerKeys] = {}
        names = {model.key: model.plan.name for model in models}
        with (
            self.progress.stage("layers", len(tasks)) as step,
            closing(self.want.workers.each("generator.analysis:analyse", tasks, together=len(models) == 1)) as found,
        ):
            for place, layer in found:
                done[names[tasks[place].key], layer.keys.address] = layer.keys
                self._tell(layer)
                step(1)
        faces = self._pictured(models)
        for model in models:
            name, wanted = model.plan.name, self.spec.faces_of(model.spec)
            addresses = [one.layer.address for one in model.plan.layers]
            own = [done[name, address] for address in addresses]
            keys = tuple(replace(each, facts=(*each.facts, *faces[name, each.address])) for each in own)
            yield Results(model.plan, model.chosen, keys, tuple(wanted.of(address) for address in addresses), wanted.bytes)

    def _pictured(self, models: Sequence[Planned]) -> dict[tuple[str, str], list[tuple[str, str]]]:
        """By model and layer, (field, key) for every face beside the weights."""
        tasks = [task for model in models for task in face_tasks(self.spec, model, self.store) if task.wanted]
        found: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
        for task in tasks:
            for wanted in task.wanted:
                found[task.model.name, wanted.address].append((task.field, wanted.key))
        with (
            self.progress.stage("faces", len(tasks)) as step,
            closing(self.want.workers.each("generator.picturing:picture", tasks, together=len(models) == 1)) as done,
        ):
            for place, each in done:
                self.report.made.update({tasks[place].field: each.made} if each.made else {})
                self._note(each.notes)
                step(1)
        return found

    def _task(self, model: Planned, place: int) -> LayerTask:
        return layer_task(self.spec, self.store, model, place)

    def _tell(self, layer: LayerDone) -> None:
        self.report.made.update(layer.made)
        self._note(layer.notes)

    def _note(self, notes: Iterable[str]) -> None:
        for note in notes:
            self.progress.note(note)

    # -- pages

    def site(self, inputs: str, parts: Parts, target: Path, last: History | None) -> History:
        """The site rendered, as far as it is not what it was, and swapped in. Returns what it is made of."""
        tasks = list(parts.tasks())
        kept = _kept(last, target)
        with staged(target) as stage:
            made = self._rendered(tasks, kept, stage)
            made[SITEMAP] = self._sitemap(tasks, made, kept, stage)
            history = History(inputs, made, _used(parts.results))
            self._swap(history, kept, stage, last)
        return history

    def _rendered(self, tasks: Sequence[PartTask], kept: dict[str, Part], stage: Stage) -> dict[str, Part]:
        """Every part, rendered where it is not what it was."""
        afar = bool(self.want.workers.cluster)
        due = [
            replace(task, stage="" if afar else str(stage.folder), before=kept[task.name].files if task.name in kept else ())
            for task in tasks
            if task.name not in kept or not _is_same(kept[task.name], task)
        ]
        due.sort(key=_pages, reverse=True)
        made: dict[str, Part] = {}
        with (
            self.progress.stage("pages", sum(map(_pages, due))) as step,
            closing(self.want.workers.each("generator.rendering:render_part", due)) as found,
        ):
            for place, part in found:
                part = unbundled(part, due[place].key, self.store, stage.folder) if afar else part
                made[part.name] = Part(due[place].key, part.files, part.pictured)
                step(_pages(due[place]))
        self.report.rendered += sorted(made)
        return {task.name: made.get(task.name) or kept[task.name] for task in tasks}

    def _sitemap(self, tasks: Sequence[PartTask], made: dict[str, Part], kept: dict[str, Part], stage: Stage) -> Part:
        """The list of all pages, in the order of the site."""
        pages = [file.path for task in tasks for file in made[task.name].files if file.listed]
        before = {file.path: file for file in kept[SITEMAP].files} if SITEMAP in kept else {}
        files = (File(*each) for each in sitemaps(self.spec.site_url, pages))
        return Part("", tuple(delivered(file, stage.folder, before) for file in files))

    def _swap(self, history: History, kept: dict[str, Part], stage: Stage, last: History | None) -> None:
        """Put the new site in place, unless every file of it stands already and none is too many."""
        stood = {file for part in kept.values() for file in part.files}
        files = [file for part in history.parts.values() for file in part.files]
        fresh = [file.path for file in files if file not in stood]
        self.report.written += fresh
        if last:
            self.progress.note(f"{len(fresh):,} of {len(files):,} files are not what they were")
        same = last is not None and {file.path for file in files} == last.paths
        if fresh or not same or not (stage.target / MARKER).is_file():
            stage.carry(file.path for file in files if file in stood)
            stage.finish([file.path for file in files])


def _kept(last: History | None, target: Path) -> dict[str, Part]:
    """The parts of the last build with those of their files that stand; a part that lacks one has no key."""
    kept = {}
    for name, part in last.parts.items() if last else ():
        files = tuple(file for file, there in zip(part.files, standing(target, part.files), strict=True) if there)
        kept[name] = part if len(files) == len(part.files) else Part("", files)
    return kept


def _is_same(part: Part, task: PartTask) -> bool:
    """Whether a part that was rendered is what a task would make of it; the parts with faces are those about one model."""
    return part.key == task.key and part.pictured.holds(task.models[0].face_budget)


def _used(results: Sequence[Results]) -> tuple[str, ...]:
    """The keys of everything a site is made of."""
    every = [keys for one in results for keys in one.keys]
    return tuple(key for keys in every for key in (keys.weights, keys.tables, *(key for _, key in keys.facts)))


def layer_task(spec: Spec, store: Store, model: Planned, place: int) -> LayerTask:
    """What there is to do for one layer."""
    nmf, connections = spec.nmf, spec.connections
    options = Options(nmf.factors, nmf.method, nmf.side, nmf.seed, connections.show, connections.scale_by_source)
    plan, faces = model.plan, spec.faces_of(model.spec)
    bundled = faces.visualization.kind == "bundled" and "visualization" in faces.of(plan.layers[place].layer.address)
    return LayerTask(
        model=model.spec,
        folder=spec.folder,
        key=model.key,
        plan=plan.layers[place],
        looks=plan.looks if bundled else "",
        sha256=plan.provenance.sha256,
        options=options,
        cache=store.folder,
        address=store.address,
    )


def _cost(task: LayerTask) -> int:
    """About how much there is to do: neurons times layers they read."""
    plan = task.plan
    return plan.layer.neurons * (1 + len(plan.outside) + len(plan.inside)) * max(1, plan.layer.parameters)


def _pages(task: PartTask) -> int:
    """About how many pages a part has."""
    return 1 + len(task.models[0].chosen[task.place]) if task.place >= 0 and task.pair < 0 else 1
