"""Records to files: HTML through the templates, sprites, JSON twins. A stream: no more than one layer is held at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from generator.addresses import HOW_TO_READ
from generator.analyses.connections import SIGN_RULE
from generator.pages.alias import alias_pages, aliased, branch_units
from generator.pages.common import Common, Link, ModelContext, absolute
from generator.pages.index import index_page
from generator.pages.layer import layer_page
from generator.pages.model import model_page
from generator.pages.neuron import NeuronPages
from generator.pages.twin import layer_json
from generator.pages.views import face_grid, face_tiles
from generator.pictures import png, sprite
from generator.records import AtlasFacts, ModelFacts

_HERE = Path(__file__).resolve().parent


def beside(name: str) -> Path:
    """The folder `templates` or `static`: inside the package where it was installed, beside it in a checkout."""
    inside = _HERE / name
    return inside if inside.is_dir() else _HERE.parent / name


class Renderer:
    """The templates, compiled once, and what every page knows of the atlas."""

    def __init__(self, atlas: AtlasFacts) -> None:
        loader = FileSystemLoader(beside("templates"))
        self.environment = Environment(
            loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, auto_reload=False
        )
        self.environment.globals["atlas"] = atlas

    def html(self, template: str, **values: Any) -> bytes:
        """A page, from a template and its record."""
        return self.environment.get_template(template).render(values).encode("utf-8")


def render_site(facts: AtlasFacts) -> Iterator[tuple[str, bytes]]:
    """Every file of the site as (relative path, bytes), in a fixed order. The same facts give the same bytes."""
    renderer = Renderer(facts)
    contexts = [ModelContext(facts, model) for model in facts.models]
    yield from static_files()
    yield "index.html", renderer.html("index.html", page=index_page(facts, contexts))
    yield HOW_TO_READ, renderer.html(HOW_TO_READ, page=_how_to_read(facts), sign_rule=SIGN_RULE)
    for context in contexts:
        for path, content in _model_files(renderer, context):
            yield f"{context.folder}/{path}", content


def count_files(facts: AtlasFacts) -> int:
    """How many files `render_site` will yield."""
    return len(list(static_files())) + 2 + sum(map(_count_model_files, facts.models))


def _count_model_files(model: ModelFacts) -> int:
    """How many files a model has: its page, its layers' pages, twins and sprites, its neurons' pages, its aliases."""
    layers = sum(2 + (face_grid(facts) is not None) + len(facts.chosen) for facts in model.layers)
    return 1 + layers + sum(1 + len(branch_units(facts, branch)) for facts, branch in aliased(model))


def static_files() -> Iterator[tuple[str, bytes]]:
    """Style and script, as they stand."""
    for path in sorted(beside("static").iterdir()):
        if path.is_file() and not path.name.startswith((".", "_")):
            yield path.name, path.read_bytes()


def _how_to_read(atlas: AtlasFacts) -> Common:
    """What the page on method has in common with the others."""
    trail = (Link("index.html", atlas.title),)
    return Common("", f"How to read this · {atlas.title}", trail, "How to read this", absolute(atlas.site_url, HOW_TO_READ))


def _model_files(renderer: Renderer, context: ModelContext) -> Iterator[tuple[str, bytes]]:
    """The files of one model, from its folder."""
    yield "index.html", renderer.html("model.html", page=model_page(context))
    for place in range(len(context.model.layers)):
        yield from _layer_files(renderer, context, place)
    for path, page in alias_pages(context):
        yield path, renderer.html("alias.html", page=page)


def _layer_files(renderer: Renderer, context: ModelContext, place: int) -> Iterator[tuple[str, bytes]]:
    """The files of one layer, from its model's folder."""
    facts = context.model.layers[place]
    view = context.views[facts.layer.address]
    yield f"{view.folder}/index.html", renderer.html("layer.html", page=layer_page(context, place))
    tiles = face_tiles(facts)
    if tiles is not None:
        yield f"{view.folder}/faces.png", png(sprite(tiles)[0])
    yield f"{view.folder}/layer.json", layer_json(context.model, facts)
    neurons = NeuronPages(context, place)
    for position, unit in enumerate(facts.chosen.tolist()):
        yield view.page(unit), renderer.html("neuron.html", page=neurons.page(position))
