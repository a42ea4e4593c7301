"""The first page: every model with a few of its layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from generator.pages.common import Common, Link, ModelContext, absolute
from generator.pages.faces import Switch, switch_of
from generator.pages.model import summary
from generator.pages.strips import LayerEntry, layer_entry, pairs_told, spread, strip_style
from generator.records import AtlasFacts

MOSAIC = 5  # layers that stand for a model on the atlas's index


@dataclass(frozen=True)
class ModelEntry:
    """A model on the index of the atlas."""

    link: Link
    summary: str
    layers: tuple[LayerEntry, ...]


@dataclass(frozen=True)
class IndexPage:
    """Everything the first page says."""

    common: Common
    description: str
    models: tuple[ModelEntry, ...]
    styles: tuple[Markup, ...]
    paired: str  # that its strips show neurons twice, '' where they do not
    switch: Switch  # that they can show


def index_page(atlas: AtlasFacts, contexts: Sequence[ModelContext]) -> IndexPage:
    """The first page: every model with a few of its layers."""
    entries, styles, shown_faces = [], [], []
    for number, context in enumerate(contexts):
        css = f"m{number}"
        pictured = [facts for facts in context.model.layers if facts.faces.pixels.size]
        shown = pictured or [facts for facts in context.model.layers if context.views[facts.layer.address].grid]
        picked = [shown[at] for at in spread(len(shown), MOSAIC)]
        layers = tuple(layer_entry(context, facts, f"{context.folder}/", css) for facts in picked)
        entries.append(ModelEntry(Link(f"{context.folder}/index.html", context.model.name), summary(context.model), layers))
        styles += [strip_style(context, facts, f"{context.folder}/", css) for facts in picked]
        shown_faces += [context.views[facts.layer.address].faces for facts in picked]
    shown_first = contexts[0].showpiece() if contexts else ""
    about = atlas.description or f"{atlas.title}: the weights of neural networks, a page for every neuron"
    common = Common("", atlas.title, (), atlas.title, absolute(atlas.site_url, "index.html"), about, card=shown_first)
    return IndexPage(common, atlas.description, tuple(entries), tuple(styles), pairs_told(shown_faces), switch_of(shown_faces))
