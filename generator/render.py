"""Records to files: HTML through the templates, sprites, JSON twins. A stream: no more than one layer is held at a time."""

from __future__ import annotations

from collections.abc import Iterator

from generator.addresses import CARD, FAMILIES, HOW_TO_READ, NOT_FOUND
from generator.analyses.connections import SIGN_RULE
from generator.look import OURS, Look, Renderer, static_files
from generator.pages.alias import alias_pages, aliased, branch_units
from generator.pages.card import card, card_line
from generator.pages.common import Common, Link, ModelContext, absolute
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
from generator.pages.responses import count_responses, response_files
from generator.pages.twin import layer_json
from generator.pages.views import face_grid, face_tiles
from generator.pictures import sprite, sprite_png
from generator.publishing.sitemap import count_sitemaps, sitemaps
from generator.records import AtlasFacts, ModelFacts
from generator.site import NO_JEKYLL


def render_site(facts: AtlasFacts, look: Look = OURS) -> Iterator[tuple[str, bytes]]:
    """Every file of the site as (relative path, bytes), in a fixed order. The same facts and look give the same bytes.

    Raises:
        OverrideError: a template of the user's that breaks.
    """
    contexts = [ModelContext(facts, model) for model in facts.models]
    unlisted = {NOT_FOUND, *(f"{context.folder}/{path}" for context in contexts for path, _ in alias_pages(context))}
    listed = []
    for path, content in _files(facts, contexts, look):
        if path.endswith(".html") and path not in unlisted:
            listed.append(path)
        yield path, content
    yield from sitemaps(facts.site_url, listed)


def _files(facts: AtlasFacts, contexts: list[ModelContext], look: Look) -> Iterator[tuple[str, bytes]]:
    """Every file but the sitemap, which lists the pages among them."""
    renderer = Renderer(facts, look)
    yield NO_JEKYLL, b""
    yield from static_files(look)
    yield JUMP, jump_script(facts)
    yield "index.html", renderer.html("index.html", page=index_page(facts, contexts))
    yield HOW_TO_READ, renderer.html(HOW_TO_READ, page=_how_to_read(facts), sign_rule=SIGN_RULE, responses=has_responses(facts))
    yield NOT_FOUND, renderer.html(NOT_FOUND if facts.site_url else "404-bare.html", page=missing_page(facts))
    if facts.families:
        yield f"{FAMILIES}/index.html", renderer.html("families.html", page=families_page(facts, contexts))
    for path, family in family_pages(facts, contexts):
        yield path, renderer.html("family.html", page=family)
    for context in contexts:
        for path, content in _model_files(renderer, context):
            yield f"{context.folder}/{path}", content


def count_files(facts: AtlasFacts, look: Look = OURS) -> int:
    """How many files `render_site` will yield."""
    pages = 2 + sum(map(_count_pages, facts.models)) + bool(facts.families) + len(facts.families)
    others = 3 + len(list(static_files(look))) + sum(_count_others(model, bool(facts.site_url)) for model in facts.models)
    others += count_oembed(facts)
    return pages + others + count_sitemaps(facts.site_url, pages)


def _count_pages(model: ModelFacts) -> int:
    """How many pages a model has: its own, its layers', its neurons', those of pairs of layers. Aliases are not among them."""
    return 1 + sum(1 + len(facts.chosen) + len(facts.reads) for facts in model.layers)


def _count_others(model: ModelFacts, published: bool) -> int:
    """How many other files a model has: its layers' twins, sprites and, where the site has an address, cards; the pictures of
    its pairs of layers and of what neurons respond to; its aliases.
    """
    layers = sum(1 + (face_grid(facts) is not None) * (1 + published) + len(facts.reads) for facts in model.layers)
    layers += sum(map(count_responses, model.layers))
    return layers + sum(1 + len(branch_units(facts, branch)) for facts, branch in aliased(model))


def has_responses(facts: AtlasFacts) -> bool:
    """Whether any page shows a feature visualization."""
    return any(layer.looks for model in facts.models for layer in model.layers)


def _how_to_read(atlas: AtlasFacts) -> Common:
    """What the page on method has in common with the others."""
    trail = (Link("index.html", atlas.title),)
    address, about = absolute(atlas.site_url, HOW_TO_READ), "What the pictures and numbers of this atlas of weights mean"
    return Common("", f"How to read this · {atlas.title}", trail, "How to read this", address, about)


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
        yield f"{view.folder}/faces.png", sprite_png(sprite(tiles)[0])
        if context.atlas.site_url:  # whoever shows a card fetches it by its absolute address
            yield f"{view.folder}/{CARD}", card(tiles, facts.layer.address, card_line(facts, context.model.name))
    yield from response_files(facts, view)
    yield f"{view.folder}/layer.json", layer_json(context.model, facts)
    for page_path, page, picture_path, picture in PairPages(context, place).files():
        yield page_path, renderer.html("pair.html", page=page)
        yield picture_path, picture
    neurons = NeuronPages(context, place)
    for position, unit in enumerate(facts.chosen.tolist()):
        yield view.page(unit), renderer.html("neuron.html", page=neurons.page(position))
    yield from oembed_files(context, facts)
