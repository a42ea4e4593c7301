"""What pages share: the head of every page, links, and a model with the views of its layers."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from markupsafe import Markup

from generator.addresses import CARD, FAMILIES, folder
from generator.authored.prose import LayerPlace, Places, render
from generator.pages import wording
from generator.pages.views import face_grid, layer_views
from generator.records import AtlasFacts, Family, LayerFacts, ModelFacts


class Link(NamedTuple):
    """A place to go, and what it is called."""

    href: str
    name: str


class Common(NamedTuple):
    """What every page has."""

    root: str  # relative way to the folder of the site
    title: str
    trail: tuple[Link, ...]  # from the atlas down to the page above this one
    here: str  # name of this page in the trail
    canonical: str  # absolute address, '' without a site_url
    description: str  # what the page is about, for those who list it
    provenance: str = ""  # where the weights came from; '' outside a model
    layers: int = 0  # layers of the model, 0 outside
    place: int = -1  # which of them this page is about; -1 for none
    previous: Link | None = None
    following: Link | None = None
    up: Link | None = None
    section: str = ""  # id of this part of a page, where it is no page of its own
    headings: tuple[str, str, str] = ("h1", "h2", "h3")  # elements of its headings, by level
    card: str = ""  # absolute address of the picture shown beside a link to this page; '' without a site_url or a picture


def absolute(site_url: str, path: str) -> str:
    """The address of a page where the site is published; '' where that is not known."""
    return f"{site_url.rstrip('/')}/{path}" if site_url else ""


def places_of(atlas: AtlasFacts) -> Places:
    """Everything that a text may link to."""
    files = {family.name.lower(): family.file for family in atlas.families}
    return Places(places_of_models(atlas.models), files, atlas.per_layer)


def places_of_models(models: tuple[ModelFacts, ...]) -> dict[str, dict[str, LayerPlace]]:
    """Every layer of every model, with its neurons and those that have pages."""
    return {
        model.name: {
            facts.layer.address: LayerPlace(facts.layer.neurons, frozenset(facts.chosen.tolist())) for facts in model.layers
        }
        for model in models
    }


def families_by_neuron(atlas: AtlasFacts, model: ModelFacts) -> dict[tuple[str, int], tuple[Family, ...]]:
    """The families of every neuron of a model that is in any, in the order of the atlas."""
    found: dict[tuple[str, int], list[Family]] = defaultdict(list)
    for family in atlas.families:
        for members in family.members:
            if members.model == model.name:
                for unit in members.units:
                    found[members.layer, unit].append(family)
    return {neuron: tuple(families) for neuron, families in found.items()}


class ModelContext:
    """A model and what its pages share: the views of its layers, its provenance, its place in the atlas."""

    def __init__(self, atlas: AtlasFacts, model: ModelFacts, places: Places | None = None) -> None:
        """`places`: what notes may link to, where that is more than `atlas` holds."""
        self.atlas, self.model, self.folder = atlas, model, folder(model.name)
        self.places = places or places_of(atlas)
        self.families = families_by_neuron(atlas, model)
        self.notes = {(note.layer, note.unit): note for note in atlas.notes if note.model == model.name}
        self.views = layer_views(model, self.families, atlas.per_layer)
        self.headings = ("h2", "h3", "h4") if atlas.per_layer else ("h1", "h2", "h3")  # of what is said of a neuron
        self.provenance = wording.provenance_line(model.provenance)

    def model_common(self) -> Common:
        """What the model's own page has in common with all others."""
        trail = (Link("../index.html", self.atlas.title),)
        canonical = absolute(self.atlas.site_url, f"{self.folder}/index.html")
        name, layers = self.model.name, len(self.model.layers)
        about = f"The network {name}: its layers, and neurons of each, pictured by their weights"
        return Common("../", name, trail, name, canonical, about, self.provenance, layers, card=self.showpiece())

    def layer_common(self, place: int) -> Common:
        """What the page of a layer has in common with all others."""
        layers = self.model.layers
        address = layers[place].layer.address
        trail = (Link("../../index.html", self.atlas.title), Link("../index.html", self.model.name))
        before = self.layer_link(layers[place - 1].layer.address, "../") if place else None
        after = self.layer_link(layers[place + 1].layer.address, "../") if place + 1 < len(layers) else None
        return Common(
            root="../../",
            title=f"{address} · {self.model.name}",
            trail=trail,
            here=address,
            canonical=absolute(self.atlas.site_url, f"{self.folder}/{folder(address)}/index.html"),
            description=f"The neurons of {address}, pictured by their weights",
            provenance=self.provenance,
            layers=len(layers),
            place=place,
            previous=before,
            following=after,
            up=Link("../index.html", self.model.name),
            card=self.card(layers[place]),
        )

    def card(self, facts: LayerFacts) -> str:
        """The absolute address of a layer's card; '' without a site_url, or where the layer has no faces."""
        path = f"{self.folder}/{folder(facts.layer.address)}/{CARD}"
        return "" if face_grid(facts) is None else absolute(self.atlas.site_url, path)

    def showpiece(self) -> str:
        """The card that stands for the whole model: of its first layer with pictures."""
        pictured = [facts for facts in self.model.layers if facts.faces.pixels.size and face_grid(facts)]
        return self.card(pictured[0]) if pictured else ""

    def layer_link(self, address: str, prefix: str) -> Link | None:
        """The page of a layer; None where it has none."""
        view = self.views.get(address)
        return Link(f"{prefix}{view.folder}/index.html", address) if view and view.facts else None

    def families_of(self, address: str, unit: int) -> tuple[Link, ...]:
        """The families of a neuron, from a page of its model's layers or neurons."""
        families = self.families.get((address, unit), ())
        return tuple(Link(f"../../{FAMILIES}/{family.file}", family.name) for family in families)

    def note_on(self, address: str, unit: int | None = None) -> Markup:
        """What the user says of a neuron, or of a layer as a whole, on a page of the model's layers or neurons; '' if nothing.

        An element of class `words` with everything in it; its headings begin at the second level.
        """
        note = self.notes.get((address, unit))
        return worded(note.text, self.places, "../../", self.model.name) if note else Markup("")


def worded(text: str, places: Places, root: str, model: str = "") -> Markup:
    """A text of the user's as an element of its own; '' where it says nothing."""
    return Markup('<div class="words">\n{}</div>').format(render(text, places, root, model)) if text.strip() else Markup("")
