"""What pages share: the head of every page, links, and a model with the views of its layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from generator.addresses import folder
from generator.pages import wording
from generator.pages.views import layer_views
from generator.records import AtlasFacts, ModelFacts


class Link(NamedTuple):
    """A place to go, and what it is called."""

    href: str
    name: str


@dataclass(frozen=True)
class Common:
    """What every page has."""

    root: str  # relative way to the folder of the site
    title: str
    trail: tuple[Link, ...]  # from the atlas down to the page above this one
    here: str  # name of this page in the trail
    canonical: str  # absolute address, '' without a site_url
    provenance: str = ""  # where the weights came from; '' outside a model
    layers: int = 0  # layers of the model, 0 outside
    place: int = -1  # which of them this page is about; -1 for none
    previous: Link | None = None
    following: Link | None = None
    up: Link | None = None


def absolute(site_url: str, path: str) -> str:
    """The address of a page where the site is published; '' where that is not known."""
    return f"{site_url.rstrip('/')}/{path}" if site_url else ""


class ModelContext:
    """A model and what its pages share: the views of its layers, its provenance, its place in the atlas."""

    def __init__(self, atlas: AtlasFacts, model: ModelFacts) -> None:
        self.atlas, self.model, self.folder = atlas, model, folder(model.name)
        self.views = layer_views(model)
        self.provenance = wording.provenance_line(model.provenance)

    def model_common(self) -> Common:
        """What the model's own page has in common with all others."""
        trail = (Link("../index.html", self.atlas.title),)
        canonical = absolute(self.atlas.site_url, f"{self.folder}/index.html")
        return Common("../", self.model.name, trail, self.model.name, canonical, self.provenance, len(self.model.layers))

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
            provenance=self.provenance,
            layers=len(layers),
            place=place,
            previous=before,
            following=after,
            up=Link("../index.html", self.model.name),
        )

    def layer_link(self, address: str, prefix: str) -> Link | None:
        """The page of a layer; None where it has none."""
        view = self.views.get(address)
        return Link(f"{prefix}{view.folder}/index.html", address) if view and view.facts else None
