"""Records to files: HTML through the templates, sprites, JSON twins. A stream: no more than one layer is held at a time.

A site has parts that can be made apart: its root, the pages of each model, those of each layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from markupsafe import Markup

from generator.addresses import CARD, FACES, FAMILIES, HOW_TO_READ, NEURONS, NOT_FOUND
from generator.analyses.connections import SIGN_RULE
from generator.look import OURS, Look, Renderer, static_files
from generator.pages.alias import alias_pages, aliased, count_aliases
from generator.pages.card import card, card_line
from generator.pages.common import Common, Link, ModelContext, absolute
from generator.pages.facebudget import Drawn, fitted_faces
from generator.pages.facefiles import count_face_files, first_tiles
from generator.pages.faces import layer_faces, switch_of
from generator.pages.families import families_page
from generator.pages.family import family_pages
from generator.pages.index import index_page
from generator.pages.jump import JUMP, jump_script
from generator.pages.layer import layer_page
from generator.pages.missing import missing_page
from generator.pages.model import model_page
from generator.pages.neuron import NeuronPages
from generator.pages.oembed import count_oembed, oembed_files
from generator.pages.pair import PairPages
from generator.pages.twin import layer_json
from generator.pages.views import face_grid, faces_rules
from generator.publishing.sitemap import count_sitemaps, sitemaps
from generator.records import AtlasFacts, ModelFacts
from generator.site import NO_JEKYLL


class File(NamedTuple):
    """A file of the site."""

    path: str  # from the folder of the site
    content: bytes
    listed: bool = False  # whether it is a page that the sitemap lists


def render_site(facts: AtlasFacts, look: Look = OURS) -> Iterator[tuple[str, bytes]]:
    """Every file of the site as (relative path, bytes), in a fixed order. The same facts and look give the same bytes.

    Raises:
        OverrideError: a template of the user's that breaks.
    """
    contexts = [ModelContext(facts, model) for model in facts.models]
    listed = []
    for path, content, is_page in _parts(contexts, Renderer(facts, look)):
        listed += [path] if is_page else []
        yield path, content
    yield from sitemaps(facts.site_url, listed)


def _parts(contexts: Sequence[ModelContext], renderer: Renderer) -> Iterator[File]:
    """Every file but the sitemap, which lists the pages among them."""
    yield from root_files(contexts, renderer)
    for context in contexts:
        yield from model_files(context, renderer)
        for place in range(len(context.model.layers)):
            yield from layer_files(context, place, renderer, faces_of(context, place))


def root_files(contexts: Sequence[ModelContext], renderer: Renderer) -> Iterator[File]:
    """The files of the atlas as a whole: first page, families, method, jump box, style sheets, scripts."""
    facts = renderer.atlas
    yield File(NO_JEKYLL, b"")
    yield from (File(*each) for each in static_files(renderer.look))
    yield File(JUMP, jump_script(facts))
    yield _page("index.html", renderer.html("index.html", page=index_page(facts, contexts)))
    yield _page(HOW_TO_READ, renderer.html(HOW_TO_READ, page=_how_to_read(facts), sign_rule=SIGN_RULE, has=shown_kinds(facts)))
    yield File(NOT_FOUND, renderer.html(NOT_FOUND if facts.site_url else "404-bare.html", page=missing_page(facts)))
    if facts.families:
        yield _page(f"{FAMILIES}/index.html", renderer.html("families.html", page=families_page(facts, contexts)))
    for path, family in family_pages(facts, contexts):
        yield _page(path, renderer.html("family.html", page=family))


def _page(path: str, content: bytes) -> File:
    return File(path, content, listed=True)


def count_files(facts: AtlasFacts, look: Look = OURS) -> int:
    """How many files `render_site` will yield."""
    pages = _count_all_pages(facts)
    others = 3 + len(list(static_files(look))) + count_oembed(facts)
    others += sum(_count_others(model, bool(facts.site_url), facts.per_layer) for model in facts.models)
    return pages + others + count_sitemaps(facts.site_url, pages)


def count_pages(facts: AtlasFacts) -> int:
    """How many of these are HTML: those that the sitemap lists, the page for missing addresses, aliases."""
    aliases = sum(count_aliases(*each, facts.per_layer) for model in facts.models for each in aliased(model))
    return 1 + _count_all_pages(facts) + aliases


def _count_all_pages(facts: AtlasFacts) -> int:
    """Those that the sitemap lists."""
    models = sum(_count_pages(model, facts.per_layer) for model in facts.models)
    return 2 + models + bool(facts.families) + len(facts.families)


def _count_pages(model: ModelFacts, per_layer: bool) -> int:
    """How many pages a model has: its own, its layers', its neurons', those of pairs of layers. Aliases are not among them."""
    return 1 + sum(1 + (len(facts.chosen) > 0 if per_layer else len(facts.chosen)) + len(facts.reads) for facts in model.layers)


def _count_others(model: ModelFacts, published: bool, per_layer: bool) -> int:
    """How many other files a model has: its layers' twins, sprites and, where the site has an address, cards; the pictures of
    its pairs of layers and the other faces of its neurons; its aliases.
    """
    layers = sum(1 + (face_grid(facts) is not None) * (1 + published) + len(facts.reads) for facts in model.layers)
    layers += sum(count_face_files(facts, per_layer) for facts in model.layers)
    return 1 + layers + sum(count_aliases(facts, branch, per_layer) for facts, branch in aliased(model))


def shown_kinds(facts: AtlasFacts) -> frozenset[str]:
    """The kinds of faces that any neuron has; 'pushes' where classes are told that neurons push."""
    layers = [layer for model in facts.models for layer in model.layers]
    kinds = {face.kind for layer in layers for face in layer_faces(layer, face_grid(layer))}
    return frozenset(kinds | {"pushes" for layer in layers if layer.pushes})


def _how_to_read(atlas: AtlasFacts) -> Common:
    """What the page on method has in common with the others."""
    trail = (Link("index.html", atlas.title),)
    address, about = absolute(atlas.site_url, HOW_TO_READ), "What the pictures and numbers of this atlas of weights mean"
    return Common("", f"How to read this · {atlas.title}", trail, "How to read this", address, about)


def model_files(context: ModelContext, renderer: Renderer) -> Iterator[File]:
    """The files of one model but those of its layers."""
    yield _page(f"{context.folder}/index.html", renderer.html("model.html", page=model_page(context)))
    views, pushed = context.views.values(), any(facts.pushes for facts in context.model.layers)
    figures = pushed or len(switch_of(view.faces for view in views).faces) > 1
    yield File(f"{context.folder}/{FACES}", renderer.html("faces.css", rules=faces_rules(views), figures=figures))
    for path, page in alias_pages(context):
        yield File(f"{context.folder}/{path}", renderer.html("alias.html", page=page))


def layer_files(context: ModelContext, place: int, renderer: Renderer, faces: Drawn) -> Iterator[File]:
    """The files of one layer of a model, `faces` among them."""
    yield from own_files(context, place, renderer, faces)
    yield from pair_files(context, place, renderer)


def faces_of(context: ModelContext, place: int) -> Drawn:
    """The faces of one layer of a model, within their budget if they can be."""
    facts = context.model.layers[place]
    return fitted_faces(facts, context.views[facts.layer.address])


def own_files(context: ModelContext, place: int, renderer: Renderer, faces: Drawn) -> Iterator[File]:
    """The files of one layer, `faces` among them, but those of its pairs with the layers it reads."""
    for path, content in _own_files(renderer, context, place, faces):
        yield File(f"{context.folder}/{path}", content, listed=path.endswith(".html"))


def pair_files(context: ModelContext, place: int, renderer: Renderer, numbers: Sequence[int] | None = None) -> Iterator[File]:
    """For each layer that a layer reads: the page of the two, and the picture on it; for the pairs with these numbers alone
    where they are given.
    """
    pairs = PairPages(context, place)
    for number in range(len(pairs.facts.reads)) if numbers is None else numbers:
        page_path, page, picture_path, picture = pairs.files(number)
        yield _page(f"{context.folder}/{page_path}", renderer.html("pair.html", page=page))
        yield File(f"{context.folder}/{picture_path}", picture)


def _own_files(renderer: Renderer, context: ModelContext, place: int, faces: Drawn) -> Iterator[tuple[str, bytes]]:
    """The files of one layer but those of its pairs, from its model's folder."""
    facts = context.model.layers[place]
    view = context.views[facts.layer.address]
    yield f"{view.folder}/index.html", renderer.html("layer.html", page=layer_page(context, place))
    yield from faces.files
    if context.atlas.site_url and face_grid(facts):  # whoever shows a card fetches it by its absolute address
        yield f"{view.folder}/{CARD}", card(first_tiles(facts), facts.layer.address, card_line(facts, context.model.name))
    yield f"{view.folder}/layer.json", layer_json(context.model, facts)
    yield from _neuron_files(renderer, context, place, faces) if len(facts.chosen) else ()
    yield from oembed_files(context, facts)


def _neuron_files(renderer: Renderer, context: ModelContext, place: int, faces: Drawn) -> Iterator[tuple[str, bytes]]:
    """The pages of a layer's neurons, or the one page on which they stand."""
    neurons = NeuronPages(context, place, faces)
    if not context.atlas.per_layer:
        for unit, page in neurons.pages():
            yield neurons.view.page(unit), renderer.html("neuron.html", page=page)
        return
    sections = b"".join(renderer.html("neuron.html", page=page) for _, page in neurons.pages()).decode("utf-8")
    joined = neurons.joined(Markup(sections))
    yield f"{neurons.view.folder}/{NEURONS}", renderer.html("neurons.html", page=joined)
