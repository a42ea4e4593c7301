"""The page of a model: its layers in order, each with a strip of its neurons."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from generator.pages import wording
from generator.pages.common import Common, ModelContext
from generator.pages.strips import LayerEntry, layer_entry, strip_style
from generator.records import ModelFacts


@dataclass(frozen=True)
class ModelPage:
    """Everything the page of a model says."""

    common: Common
    name: str
    summary: str
    provenance: tuple[tuple[str, str], ...]
    layers: tuple[LayerEntry, ...]
    styles: tuple[Markup, ...]


def model_page(context: ModelContext) -> ModelPage:
    """The page of a model: its layers in order, each with a strip of its neurons."""
    model, given = context.model, context.model.provenance
    facts = (
        ("Source", given.source),
        ("Weights", given.weights),
        ("SHA-256", given.sha256),
        ("Made with", ", ".join(f"{package} {version}" for package, version in given.versions)),
        ("Input", " × ".join(map(str, model.input_shape))),
    )
    layers = tuple(layer_entry(context, layer, "", "m") for layer in model.layers)
    styles = tuple(strip_style(context, layer, "", "m") for layer in model.layers)
    provenance = tuple((term, said) for term, said in facts if said)
    return ModelPage(context.model_common(), model.name, summary(model), provenance, layers, styles)


def summary(model: ModelFacts) -> str:
    """The size of a model, in a line."""
    neurons = sum(facts.layer.neurons for facts in model.layers)
    return f"{wording.counted(len(model.layers), 'layer')}, {wording.counted(neurons, 'neuron')}"
