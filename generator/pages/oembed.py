"""oEmbed: what a host that is given the address of a neuron's page is told in order to show the neuron (oembed.com, 2.3)."""

from __future__ import annotations

import json
from collections.abc import Iterator

from markupsafe import Markup

from generator.addresses import oembed_file
from generator.globs import fits
from generator.pages.card import HEIGHT, WIDTH
from generator.pages.common import ModelContext, absolute
from generator.records import AtlasFacts, LayerFacts

FRAME = (640, 560)  # CSS pixels, width and height, of the frame until the page in it has told its own height


def has_oembed(atlas: AtlasFacts, address: str) -> bool:
    """Whether the neurons of a layer have oEmbed files: if the spec names it, the site has an address, each its page."""
    return bool(atlas.site_url) and not atlas.per_layer and any(fits(address, pattern) for pattern in atlas.oembed)


def count_oembed(atlas: AtlasFacts) -> int:
    """How many oEmbed files the site has."""
    layers = [facts for model in atlas.models for facts in model.layers]
    return sum(len(facts.chosen) for facts in layers if has_oembed(atlas, facts.layer.address))


def oembed_address(context: ModelContext, facts: LayerFacts, unit: int) -> str:
    """The absolute address of a neuron's oEmbed file; '' where it has none."""
    path = f"{context.folder}/{oembed_file(facts.layer.address, unit, facts.layer.neurons)}"
    return absolute(context.atlas.site_url, path) if has_oembed(context.atlas, facts.layer.address) else ""


def oembed_files(context: ModelContext, facts: LayerFacts) -> Iterator[tuple[str, bytes]]:
    """The oEmbed file of every neuron of a layer that has a page: path from the model's folder, and content."""
    if has_oembed(context.atlas, facts.layer.address):
        for unit in facts.chosen.tolist():
            yield oembed_file(facts.layer.address, unit, facts.layer.neurons), oembed_json(context, facts, unit)


def oembed_json(context: ModelContext, facts: LayerFacts, unit: int) -> bytes:
    """What a host is told of one neuron: a frame of its page's embed view, and a picture for hosts that show no frames."""
    atlas, address = context.atlas, facts.layer.address
    page = absolute(atlas.site_url, f"{context.folder}/{context.views[address].page(unit)}")
    name = f"{address}:{unit}"
    frame = Markup(
        '<iframe src="{}#embed" title="{}" width="{}" height="{}" style="border:0;max-width:100%" loading="lazy"></iframe>'
    )
    said = {
        "version": "1.0",
        "type": "rich",
        "provider_name": atlas.title,
        "provider_url": absolute(atlas.site_url, "index.html"),
        "title": f"{name} · {context.model.name}",
        "html": frame.format(page, f"{name}, {atlas.title}", *FRAME),
        "width": FRAME[0],
        "height": FRAME[1],
    }
    if atlas.authors:
        said["author_name"] = ", ".join(atlas.authors)
    if card := context.card(facts):
        said |= {"thumbnail_url": card, "thumbnail_width": WIDTH, "thumbnail_height": HEIGHT}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode("utf-8") + b"\n"
