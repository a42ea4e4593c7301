"""The page of a model: its network as a drawing, a table of its layers, and each with a strip of its neurons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from generator.addresses import pair_file
from generator.pages import wording
from generator.pages.common import Common, Link, ModelContext
from generator.pages.drawing import Box, Edge, drawing
from generator.pages.faces import EXAMPLES, VISUALIZATION, Switch, switch_of
from generator.pages.strips import LayerEntry, layer_entry, median_explained, pairs_told, strip_style
from generator.records import LayerFacts, ModelFacts, Pair


class LayerRow(NamedTuple):
    """A layer in the table of them all."""

    link: Link
    kernel: str
    neurons: str
    parameters: str
    explained: str  # median, as '78%'; '' where nothing was factored
    sparsity: str  # median
    reads: tuple[Link, ...]  # the pages of its weights on others


@dataclass(frozen=True)
class ModelPage:
    """Everything the page of a model says."""

    common: Common
    name: str
    summary: str
    provenance: tuple[tuple[str, str], ...]
    drawing: Markup
    refused: int  # neighbours whose weights cannot be read
    rows: tuple[LayerRow, ...]
    layers: tuple[LayerEntry, ...]
    styles: tuple[Markup, ...]
    paired: str  # that its strips show neurons twice, '' where they do not
    switch: Switch  # that they can show


def model_page(context: ModelContext) -> ModelPage:
    """The page of a model: its network as a drawing, a table of its layers, and each with a strip of its neurons."""
    model, given = context.model, context.model.provenance
    facts = (
        ("Source", given.source),
        ("Weights", given.weights),
        ("SHA-256", given.sha256),
        ("Made with", ", ".join(f"{package} {version}" for package, version in given.versions)),
        ("Input", " × ".join(map(str, model.input_shape))),
        ("Images", wording.fed(model.mean, model.std) if _are_fed(model) else ""),
    )
    faces = [context.views[layer.layer.address].faces for layer in model.layers]
    return ModelPage(
        common=context.model_common(),
        name=model.name,
        summary=summary(model),
        provenance=tuple((term, said) for term, said in facts if said),
        drawing=drawing(boxes(context), edges(context), f"The layers of {model.name} and what they read"),
        refused=sum(len(layer.refused) for layer in model.layers),
        rows=tuple(layer_row(context, layer) for layer in model.layers),
        layers=tuple(layer_entry(context, layer, "", "m") for layer in model.layers),
        styles=tuple(strip_style(context, layer, "", "m") for layer in model.layers),
        paired=pairs_told(faces),
        switch=switch_of(faces),
    )


def _are_fed(model: ModelFacts) -> bool:
    """Whether images went into the model for what its pages show."""
    return any(
        (facts.looks and VISUALIZATION in facts.order) or (facts.examples and EXAMPLES in facts.order) for facts in model.layers
    )


def summary(model: ModelFacts) -> str:
    """The size of a model, in a line."""
    neurons = sum(facts.layer.neurons for facts in model.layers)
    return f"{wording.counted(len(model.layers), 'layer')}, {wording.counted(neurons, 'neuron')}"


def layer_row(context: ModelContext, facts: LayerFacts) -> LayerRow:
    """A layer in the table of them all."""
    layer = facts.layer
    return LayerRow(
        link=Link(f"{context.views[layer.address].folder}/index.html", layer.address),
        kernel=wording.size(layer.kernel) if layer.kernel else "",
        neurons=f"{layer.neurons:,}",
        parameters=f"{layer.parameters:,}" if layer.parameters else "",
        explained=median_explained(facts.faces),
        sparsity=median_sparsity(facts),
        reads=tuple(Link(pair_page(context, pair), within(pair.weights.source, layer.address)) for pair in facts.reads),
    )


def within(source: str, block: str) -> str:
    """The name of a layer as one reads it at the block that holds it."""
    return source.removeprefix(f"{block}.")


def median_sparsity(facts: LayerFacts) -> str:
    """How sparse the median neuron's weights are; '' where that is not known."""
    known = facts.statistics.sparsity[np.isfinite(facts.statistics.sparsity)] if facts.statistics else np.zeros(0)
    return f"{np.median(known):.2f}" if known.size else ""


def pair_page(context: ModelContext, pair: Pair) -> str:
    """The page of two layers, from the model's."""
    return f"{context.views[pair.weights.target].folder}/{pair_file(pair.weights.source)}"


def boxes(context: ModelContext) -> list[Box]:
    """The layers, to draw."""
    return [
        Box(
            name=facts.layer.address,
            neurons=facts.layer.neurons,
            href=f"{context.views[facts.layer.address].folder}/index.html",
            told=f"{facts.layer.address}, {facts.layer.kind}, {wording.counted(facts.layer.neurons, 'neuron')}",
        )
        for facts in context.model.layers
    ]


def edges(context: ModelContext) -> list[Edge]:
    """What reads what, to draw: the pairs whose weights are known, and what else a layer reads at once."""
    known = {facts.layer.address for facts in context.model.layers}
    found = []
    for facts in context.model.layers:
        name = facts.layer.address
        for pair in (pair for pair in facts.reads if pair.weights.source in known):
            told = f"{name} reads {pair.weights.source}: {wording.kernel_line(pair.weights)}"
            found.append(Edge(pair.weights.source, name, pair_page(context, pair), told))
        known_here = {pair.weights.source for pair in facts.reads}
        for source in facts.layer.reads:
            if source in known and source not in known_here:
                found.append(Edge(source, name, "", f"{name} reads {source}, in a way that has no weights to show"))
    return found
