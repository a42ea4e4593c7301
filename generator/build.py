"""The pipeline as a table of contents: spec, models, graphs, weights, analyses, pages, site.

Gather everything, then render, then write. A mistake of the user's stops the run before anything is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from generator.affine import own_bias_and_scale, own_weights
from generator.analyses.connections import largest
from generator.analyses.faces import FaceOptions, make_faces
from generator.analyses.farther import flat_units
from generator.analyses.statistics import statistics
from generator.authored.families import load_families
from generator.authored.notes import load_notes
from generator.authored.prose import LayerPlace, Places
from generator.cancellation import with_cancellation
from generator.context.looks import read_looks
from generator.errors import LayerError, RefusedError, SpecError, nearest
from generator.expand import neighbours, weights_into
from generator.globs import fits
from generator.graph import Graph, choose, trace
from generator.look import Look, look_of
from generator.models import LoadedModel, load_model
from generator.pages.common import places_of_models
from generator.progress import Progress
from generator.records import AtlasFacts, Family, LayerFacts, ModelFacts, Note, Pair, Statistics, Weights
from generator.render import count_files, render_site
from generator.site import Summary, prepare_target, write_site
from generator.spec import ModelSpec, Spec

FARTHEST = 6  # layers that a picture may look back through for a kernel of more than one position


@dataclass(frozen=True)
class Opened:
    """A model of the spec, loaded and traced, with the layers that get pages."""

    spec: ModelSpec
    loaded: LoadedModel
    graph: Graph
    chosen: tuple[str, ...]
    units: dict[str, np.ndarray]  # the neurons that get a page, by layer


def build(spec: Spec, target: Path, progress: Progress) -> Summary:
    """Build the site of a spec at `target`.

    Raises:
        SpecError, ModelError, LayerError, RefusedError: the user's mistakes, before anything is written.
        AtlasError: the target cannot be written, or is not ours.
    """
    prepare_target(target)
    look = look_of(spec)
    return write(gather(spec, progress), look, target, progress)


def write(facts: AtlasFacts, look: Look, target: Path, progress: Progress) -> Summary:
    """The site of these facts, rendered and written.

    Raises:
        OverrideError: a template of the user's that breaks.
        SiteError: the target cannot be written, or is not ours.
    """
    with progress.stage("pages", count_files(facts, look)) as step:
        return write_site(render_site(facts, look), target, on_file=lambda _: step(1))


def check(spec: Spec) -> list[str]:
    """Hold a spec against its models: load them, choose their layers, compute nothing. One line a model.

    Raises:
        SpecError, ModelError, LayerError: as `build`.
    """
    look_of(spec)
    models = open_models(spec, Progress(quiet=True))
    check_oembed(spec, places_in(models))
    named_and_noted(spec, places_in(models))
    return [told(opened) for opened in models]


def told(opened: Opened) -> str:
    """One line on a model and its choice."""
    neurons = sum(len(units) for units in opened.units.values())
    return f"{opened.spec.name}: {len(opened.chosen)} layers, {neurons:,} neurons with a page"


def gather(spec: Spec, progress: Progress) -> AtlasFacts:
    """Everything the site says, worked out."""
    models = open_models(spec, progress)
    check_oembed(spec, places_in(models))
    families, notes = named_and_noted(spec, places_in(models))
    return atlas_facts(spec, tuple(model_facts(spec, opened, progress) for opened in models), families, notes)


def retell(spec: Spec, models: tuple[ModelFacts, ...]) -> AtlasFacts:
    """As `gather`, of models that are worked out: for a spec of which only words have changed, or the files they stand in."""
    check_oembed(spec, places_of_models(models))
    return atlas_facts(spec, models, *named_and_noted(spec, places_of_models(models)))


def atlas_facts(
    spec: Spec, models: tuple[ModelFacts, ...], families: tuple[Family, ...], notes: tuple[Note, ...]
) -> AtlasFacts:
    """What the spec says of its models, and what was found in them."""
    return AtlasFacts(
        title=spec.title,
        description=spec.description,
        authors=spec.authors,
        licence=spec.licence,
        site_url=spec.site_url,
        scaled_by_source=spec.connections.scale_by_source,
        factors=spec.nmf.factors,
        models=models,
        families=families,
        notes=notes,
        oembed=spec.oembed,
    )


def open_models(spec: Spec, progress: Progress) -> list[Opened]:
    """Load and trace every model and resolve its layers and neurons, so that all such mistakes show at once."""
    opened: list[Opened] = []
    problems: list[str] = []
    with progress.stage("models", len(spec.models)) as step:
        for model in spec.models:
            try:
                opened.append(open_model(model, spec.folder))
            except SpecError as error:
                problems += error.problems
            step(1)
    if problems:
        raise SpecError(problems)
    return opened


def open_model(model: ModelSpec, folder: Path) -> Opened:
    """One model of the spec.

    Raises:
        SpecError: a layer or neuron that it does not have, one line each.
    """
    loaded = load_model(model, folder)
    graph = trace(loaded.module, loaded.input_shape)
    chosen = choose_layers(model, graph)
    counts = {address: graph.layers[address].neurons for address in chosen}
    model.check_neurons(counts)
    units = {address: np.array(model.neurons_of(address, count), np.int32) for address, count in counts.items()}
    return Opened(model, loaded, graph, chosen, units)


def choose_layers(model: ModelSpec, graph: Graph) -> tuple[str, ...]:
    """The layers the spec names; every pattern that names none is told with its place in the file."""
    problems = []
    for index, pattern in enumerate(model.layers):
        try:
            choose(graph, (pattern,))
        except LayerError as error:
            problems.append(model.problem(("layers", index), f"{model.name}: {error}"))
    if problems:
        raise SpecError(problems)
    return choose(graph, model.layers)


def places_in(models: Sequence[Opened]) -> dict[str, dict[str, LayerPlace]]:
    """Every layer of every model, with its neurons and those that have pages."""
    return {
        opened.spec.name: {
            address: LayerPlace(opened.graph.layers[address].neurons, frozenset(units.tolist()))
            for address, units in opened.units.items()
        }
        for opened in models
    }


def named_and_noted(spec: Spec, places: dict[str, dict[str, LayerPlace]]) -> tuple[tuple[Family, ...], tuple[Note, ...]]:
    """The families and the notes beside the spec, held against the models.

    Raises:
        SpecError: no such file or folder; everything that is wrong in them.
    """
    families = load_families(spec.beside("families"), places) if spec.families else ()
    files = {family.name.lower(): family.file for family in families}
    return families, load_notes(spec.beside("notes"), Places(places, files)) if spec.notes else ()


def check_oembed(spec: Spec, places: dict[str, dict[str, LayerPlace]]) -> None:
    """Hold the layers that are to have oEmbed files against those of the atlas; raises SpecError for each that fits none."""
    layers = list(dict.fromkeys(address for one in places.values() for address in one))
    problems = [
        spec.problem(("oembed", index), f"found '{pattern}', expected a layer of the atlas{nearest(pattern, layers)}")
        for index, pattern in enumerate(spec.oembed)
        if not any(fits(address, pattern) for address in layers)
    ]
    if problems:
        raise SpecError(problems)


# -- one model ------------------------------------------------------------------------------------------------------------


def model_facts(spec: Spec, opened: Opened, progress: Progress) -> ModelFacts:
    """All weights, tables and pictures of one model."""
    graph, chosen = opened.graph, opened.chosen
    feeds = neighbours(graph, chosen)
    reads: dict[str, list[Pair]] = {}
    refused: dict[str, list[str]] = {}
    faces = {}
    numbers: dict[str, Statistics | None] = {}
    with progress.stage(f"{opened.spec.name}: layers", len(chosen)) as step:
        for address in chosen:
            weights, refused[address] = weights_of_layer(opened, address, feeds)
            candidates = picture_weights(opened, address, feeds, weights)
            faces[address] = make_faces(candidates, graph.layers[address].neurons, face_options(spec))
            outside = [each for each in weights if each.source in feeds[address][0]]
            numbers[address] = layer_statistics(graph, address, outside, whole=not refused[address])
            reads[address] = [
                Pair(each, *largest(each, spec.connections.show, spec.connections.scale_by_source)) for each in weights
            ]
            step(1)
    layers = tuple(
        LayerFacts(
            layer=graph.layers[address],
            chosen=opened.units[address],
            labels=labels_of(opened, address),
            faces=faces[address],
            reads=tuple(reads[address]),
            writes=tuple(pair for other in chosen for pair in reads[other] if pair.weights.source == address),
            refused=tuple(refused[address]),
            statistics=numbers[address],
            looks=read_looks(opened.loaded.looks, opened.loaded.provenance.sha256, address, graph.layers[address].neurons),
        )
        for address in chosen
    )
    return ModelFacts(opened.spec.name, opened.loaded.provenance, opened.loaded.input_shape, layers)


def face_options(spec: Spec) -> FaceOptions:
    """How pictures are made, from the spec."""
    return FaceOptions(spec.nmf.factors, spec.nmf.method, spec.nmf.side, spec.nmf.seed)


Feeds = dict[str, tuple[tuple[str, ...], tuple[str, ...]]]


def weights_of_layer(opened: Opened, address: str, feeds: Feeds) -> tuple[list[Weights], list[str]]:
    """The weights of a layer on every chosen layer it reads, those outside of it first; and what was refused.

    Raises:
        RefusedError: the layers were named one by one, so the choice is the user's to mend.
    """
    outside, inside = feeds[address]
    found: list[Weights] = []
    refused: list[str] = []
    for sources, blocked in ((outside, ()), (inside, outside)):
        weights, reasons = read_or_refuse(opened.graph, address, sources, blocked)
        found += weights
        refused += reasons
    if refused and "auto" not in opened.spec.layers:
        raise RefusedError(f"{opened.spec.name}: {refused[0]}")
    return found, refused


def read_or_refuse(
    graph: Graph, target: str, sources: Sequence[str], blocked: Iterable[str]
) -> tuple[list[Weights], list[str]]:
    """The weights on several sources at once; where one path is refused, on each that is not."""
    if not sources:
        return [], []
    try:
        return with_cancellation(graph, weights_into(graph, target, sources, blocked), blocked), []
    except RefusedError as reason:
        if len(sources) == 1:
            return [], [f"weights on {sources[0]}: {reason}"]
    parts = [
        read_or_refuse(graph, target, [source], [*blocked, *(other for other in sources if other != source)])
        for source in sources
    ]
    return [each for weights, _ in parts for each in weights], [line for _, lines in parts for line in lines]


def picture_weights(opened: Opened, address: str, feeds: Feeds, own: Sequence[Weights]) -> list[Weights]:
    """The weights a picture may be made of, in order of preference.

    Neurons whose kernels read every position alike are shown by their expanded weights on the layers before those they read,
    as far back as it takes to find a kernel that does not.
    """
    outside = [each for each in own if each.source in feeds[address][0]]
    candidates, sources = list(outside), {each.source for each in outside}
    if not outside or any(each.grid != "sliding" for each in outside):
        return candidates
    if any(each.direct and each.kernel.shape[2:] != (1, 1) for each in outside):
        return candidates
    left = np.all([flat_units(each.kernel) for each in outside], axis=0)
    for _ in range(FARTHEST):
        sources = {farther for source in sources for farther in feeds[source][0]}
        if not left.any() or not sources:
            break
        found = expanded_or_none(opened.graph, address, sorted(sources, key=opened.chosen.index))
        candidates += found
        left = np.all([left, *(flat_units(each.kernel) for each in found)], axis=0)
    return candidates


def expanded_or_none(graph: Graph, address: str, sources: Sequence[str]) -> list[Weights]:
    """Expanded weights for a picture; none where a path on the way cannot be read."""
    try:
        return weights_into(graph, address, sources)
    except (RefusedError, LayerError):
        return []


def layer_statistics(graph: Graph, address: str, reads: Sequence[Weights], whole: bool) -> Statistics | None:
    """The statistics of a layer from its weights on the layers outside of it, `whole` if none is missing; None without any."""
    stored = own_weights(graph, address) if whole else None
    return statistics(reads, *own_bias_and_scale(graph, address), stored) if reads else None


def labels_of(opened: Opened, address: str) -> tuple[str, ...]:
    """Class names, on the layer that gives the model's answer."""
    layer, names = opened.graph.layers[address], opened.loaded.class_names
    last = address == opened.chosen[-1] and layer.kind in ("Linear", "Conv2d")
    return names if last and len(names) == layer.neurons else ()
