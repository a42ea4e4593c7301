"""What the files of every layer take, from those of its samples: all else lies on the line through two of them."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from generator.addresses import BLOCK, FLAT, folder, neuron_folder
from generator.authored.prose import Places
from generator.forecasting.sampling import SampleStore
from generator.forecasting.standins import Known, stand_ins
from generator.keeping.store import Store
from generator.look import Look, Renderer
from generator.pages.common import ModelContext, families_by_neuron
from generator.pages.facebudget import Drawn, FaceMaker, Taken
from generator.pages.facefiles import LEVELS, Level, grid_sprites, row_sprites
from generator.pages.faces import SPRITE
from generator.pages.pair import BYTES, SIDE
from generator.pages.views import layer_views
from generator.publishing.sitemap import sitemaps
from generator.records import AtlasFacts, Family, Layer, LayerFacts, ModelPlan
from generator.render import File, own_files, pair_files


@dataclass(frozen=True)
class MeasureTask:
    """A layer whose samples are to be rendered, by any process."""

    key: str  # of the model, unlike that of any other
    place: int  # of the layer in it
    atlas: AtlasFacts  # without its models
    plan: ModelPlan
    known: tuple[Known, ...]  # of each layer
    places: Places
    look: Look
    cache: Path


class Measured(NamedTuple):
    """What the files of a layer take, all of them."""

    bytes: float
    seconds: float  # of processor time to render them
    entries: int  # in the fullest folder: the layer's, or one of those for a thousand of its neurons
    where: str  # which that is, from the model's
    largest: float  # bytes of the largest of them
    faces: int = 0  # of the bytes, those of all faces of the neurons that have a page


class _Run(NamedTuple):
    """What the files of a sample take."""

    own: float  # bytes of all but the next two
    pairs: float  # bytes of the pages of the layers it reads
    pictures: float  # bytes of the pictures on these
    seconds: float  # of processor time, without the next
    for_pairs: float
    entries: int  # files in the layer's folder, the pages of pairs left out
    folders: int  # within it
    sizes: dict[str, int]  # bytes of each file, those of pairs left out

    @property
    def largest(self) -> int:
        """Bytes of the largest file."""
        return max(self.sizes.values())


class _Sprites(NamedTuple):
    """The sprites of a layer's faces beside its weights: known of all neurons, they are not told from a sample."""

    sizes: tuple[int, ...]  # bytes
    seconds: float


class _Fitted(NamedTuple):
    """At which level the faces of a layer will fit their budget, and what they take there."""

    level: Level
    sprites: _Sprites
    taken: Taken


def measure(task: MeasureTask) -> Measured:
    """Render the samples of one layer and draw the line from them to all of its neurons."""
    bench, place = _bench(task), task.place
    layer, chosen, units = task.plan.layers[place].layer, task.known[place].chosen, bench.known.units[place]
    pairs = len(bench.known.whole.layers[place].reads)
    if len(units[1]) == layer.neurons:
        faces = bench.fitted(place, chosen)
        run = bench.run(place, 1, chosen, faces.level)
        entries = run.entries + run.folders + 2 * pairs + len(faces.sprites.sizes)
        found = Measured(run.own + run.pairs + run.pictures, run.seconds, entries, folder(layer.address), run.largest)
        return _with(found, faces, run)
    small, large = (np.arange(len(each), dtype=np.int32) for each in units)
    faces = bench.fitted(place, large)
    least, most = bench.run(place, 0, small, faces.level), bench.run(place, 1, large, faces.level)
    # where every neuron has a page one slope says all
    bare = most if len(chosen) == layer.neurons else bench.run(place, 1, small, faces.level, with_pairs=False)
    line = _Line(len(small), len(large), layer.neurons, len(chosen))
    own, seconds = (line.of(*(getattr(run, name) for run in (least, bare, most))) for name in ("own", "seconds"))
    rows = replace(line, neurons=min(layer.neurons, SIDE), pages=len(small))
    pictures = min(rows.of(least.pictures, most.pictures, most.pictures), float(BYTES * pairs))
    pages = round((most.entries - least.entries) / (len(large) - len(small)))  # of a neuron: one, or none
    rest = least.entries - pages * len(small) + 2 * pairs + len(faces.sprites.sizes)
    fullest = _fullest(layer, chosen, pages, rest, most.folders)
    shared = [line.of(size, bare.sizes[path], most.sizes[path]) for path, size in least.sizes.items() if path in bare.sizes]
    return _with(Measured(own + most.pairs + pictures, seconds, *fullest, max(shared)), faces, most)


def _with(found: Measured, faces: _Fitted, most: _Run) -> Measured:
    """What the files of a layer take with its sprites and the pages of its pairs."""
    sprites, seconds = faces.sprites.sizes, found.seconds + faces.sprites.seconds + most.for_pairs
    largest, of_faces = max([found.largest, *sprites]), faces.taken.all
    return found._replace(bytes=found.bytes + sum(sprites), seconds=seconds, largest=largest, faces=of_faces)


def _fullest(layer: Layer, chosen: np.ndarray, pages: int, rest: int, folders: int) -> tuple[int, str]:
    """The entries of the fullest folder of a layer, and which that is.

    pages: files in it for each neuron; rest: files that stand beside them, and folders within.
    """
    home = folder(layer.address)
    if layer.neurons <= FLAT or not pages or not len(chosen):
        return rest + folders + pages * len(chosen), home
    counts = np.bincount(chosen // BLOCK)
    block = int(counts.argmax())
    there = neuron_folder(layer.address, block * BLOCK, layer.neurons)
    return max((rest, home), (int(counts[block]) * pages + folders, there))


@dataclass(frozen=True)
class _Line:
    """From samples of a layer to all of it."""

    small: int  # neurons of either sample
    large: int
    neurons: int  # of the layer
    pages: int  # of these

    def of(self, least: float, bare: float, most: float) -> float:
        """What all of it takes, from what small neurons with small pages, large with small and large with large do."""
        step = self.large - self.small
        neuron, page = max(0.0, bare - least) / step, max(0.0, most - bare) / step
        return max(0.0, least + neuron * (self.neurons - self.small) + page * (self.pages - self.small))


class _Bench:
    """Where the samples of one model are rendered."""

    def __init__(self, task: MeasureTask) -> None:
        self.known = stand_ins(task.plan, task.known, SampleStore(task.cache), Store(task.cache))
        atlas = replace(task.atlas, models=(self.known.whole,))
        self.context, self.renderer = ModelContext(atlas, self.known.whole, task.places), Renderer(atlas, task.look)
        self.url = atlas.site_url
        self.run(task.place, 0, np.zeros(1, np.int32), LEVELS[0])  # the first run compiles the templates

    def run(self, place: int, size: int, chosen: np.ndarray, level: Level, with_pairs: bool = True) -> _Run:
        """Render a layer of one of its samples, of which the neurons `chosen` have pages."""
        context = self._context(place, replace(self.known.of(place, size), chosen=chosen))
        facts = context.model.layers[place]
        began = time.process_time()
        faces = FaceMaker(facts, context.views[facts.layer.address]).made(level)
        every = list(own_files(context, place, self.renderer, faces))
        middle = time.process_time()
        pairs = list(pair_files(context, place, self.renderer)) if with_pairs else []
        ended = time.process_time()
        home = f"{context.folder}/{folder(self.known.whole.layers[place].layer.address)}/"
        own = [file for file in every if not _is_sprite(file.path, home)]
        names = [file.path[len(home) :] for file in own if file.path.startswith(home)]
        return _Run(
            bytes_of(own, self.url),
            bytes_of([file for file in pairs if file.listed], self.url),
            bytes_of([file for file in pairs if not file.listed], self.url),
            middle - began,
            ended - middle,
            sum("/" not in name for name in names),
            len({name.partition("/")[0] for name in names if "/" in name}),
            {file.path: len(file.content) for file in own},
        )

    def fitted(self, place: int, chosen: np.ndarray) -> _Fitted:
        """The level that a layer will need, as those neurons of its larger sample tell that are `chosen`."""
        context, whole = self._context(place, replace(self.known.of(place, 1), chosen=chosen)), self.known.whole.layers[place]
        facts, tried = context.model.layers[place], []
        maker = FaceMaker(facts, context.views[facts.layer.address])
        for level in LEVELS:
            sprites = self._sprites(whole, level)
            tried.append(_Fitted(level, sprites, _grown(maker.made(level), sum(sprites.sizes), whole)))
            if tried[-1].taken.each <= whole.face_budget:
                break
        return tried[-1]

    def _sprites(self, whole: LayerFacts, level: Level) -> _Sprites:
        """The sprites of a layer of its true size."""
        began = time.process_time()
        sizes = tuple(len(content) for made in (row_sprites(whole), grid_sprites(whole, level)) for content in made.values())
        return _Sprites(sizes, time.process_time() - began)

    def _context(self, place: int, facts: LayerFacts) -> ModelContext:
        """The model with a stand-in for one of its layers."""
        layers, address = list(self.known.whole.layers), facts.layer.address
        layers[place] = facts
        neurons, made = self.known.whole.layers[place].layer.neurons, copy.copy(self.context)
        made.model = replace(self.known.whole, layers=tuple(layers))
        families = tuple(_moved(each, made.model.name, facts.layer, neurons) for each in self.context.atlas.families)
        made.atlas = replace(self.context.atlas, families=families)
        made.families = families_by_neuron(made.atlas, made.model)
        made.views = {**self.context.views, address: layer_views(replace(made.model, layers=(facts,)), {})[address]}
        return made


def _grown(sample: Drawn, sprites: int, whole: LayerFacts) -> Taken:
    """What the faces of a layer take, told from a sample; `sprites`: bytes of those of its true size, that of weights apart."""
    own, pages = sample.taken, len(whole.chosen)
    weights = sum(len(content) for path, content in sample.files if path.endswith(f"/{SPRITE}"))
    times = pages / max(1, own.pages)
    return Taken(
        sprites=sprites + round(weights * whole.layer.neurons / own.neurons),
        sheets=round(own.sheets * times),
        fields=round(own.fields * times),
        pictures=round(own.pictures * times),
        neurons=whole.layer.neurons,
        pages=pages,
    )


def _moved(family: Family, model: str, layer: Layer, neurons: int) -> Family:
    """A family whose members in one layer are moved into a sample of it, in which `layer` has fewer than its `neurons`."""
    members = [
        replace(one, units=tuple(dict.fromkeys(unit * layer.neurons // neurons for unit in one.units)))
        if (one.model, one.layer) == (model, layer.address)
        else one
        for one in family.members
    ]
    return replace(family, members=tuple(members))


def _is_sprite(path: str, home: str) -> bool:
    """Whether a file is a sprite of faces beside the weights, in its layer's folder."""
    return path.startswith(home) and path.endswith(".webp") and "/" not in path[len(home) :]


def bytes_of(files: Sequence[File], site_url: str) -> int:
    """The bytes of some files, and of their lines in the sitemap."""
    lines, none = (sitemaps(site_url, paths) for paths in ([file.path for file in files if file.listed], []))
    listed = sum(len(content) for _, content in lines) - sum(len(content) for _, content in none)
    return sum(len(file.content) for file in files) + listed


_last: tuple[str, _Bench] | None = None  # the bench used last in this process


def _bench(task: MeasureTask) -> _Bench:
    """The bench of a model, made once."""
    global _last
    held = _last
    if held is None or held[0] != task.key:
        held = _last = None  # before the next is made
        held = _last = task.key, _Bench(task)
    return held[1]
