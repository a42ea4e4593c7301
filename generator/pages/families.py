"""The list of families, and what the pages of families share: where their members are and how these are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from generator.addresses import FAMILIES
from generator.pages import wording
from generator.pages.common import Common, Link, ModelContext, absolute, places_of
from generator.pages.faces import Switch, switch_of
from generator.pages.multiples import Face
from generator.pages.strips import STRIP, STRIP_SIZE, Tile, spread
from generator.pages.views import IN_STRIP, link
from generator.records import AtlasFacts, Family, Members

Place = tuple[int, str]  # a layer: the number of its model, and its address


@dataclass(frozen=True)
class MemberGroup:
    """The members in one layer, as a grid or a strip."""

    link: Link
    tiles: tuple[Tile, ...]
    css: str
    more: str  # how many a strip leaves out


@dataclass(frozen=True)
class FamilyEntry:
    """A family on the list of them all."""

    link: Link
    summary: str
    strips: tuple[MemberGroup, ...]


@dataclass(frozen=True)
class FamiliesPage:
    """Everything the list of families says."""

    common: Common
    families: tuple[FamilyEntry, ...]
    styles: tuple[Markup, ...]
    switch: Switch  # of the faces in its strips


def families_page(atlas: AtlasFacts, contexts: Sequence[ModelContext]) -> FamiliesPage:
    """The list of families, in the order of their file."""
    context = FamilyContext(atlas, contexts)
    entries = []
    for family in atlas.families:
        strips = tuple(context.strip(members) for members in family.members)
        entries.append(FamilyEntry(Link(family.file, family.name), context.summary(family), strips))
    common = Common(
        root="../",
        title=f"Families · {atlas.title}",
        trail=(Link("../index.html", atlas.title),),
        here="Families",
        canonical=absolute(atlas.site_url, f"{FAMILIES}/index.html"),
        description=f"Families of neurons in {atlas.title}",
    )
    layers = context.layers_of(atlas.families)
    return FamiliesPage(common, tuple(entries), context.styles("f", STRIP_SIZE, IN_STRIP, layers), context.switch(layers))


class FamilyContext:
    """The models of the atlas and their families, as the pages of families see them."""

    def __init__(self, atlas: AtlasFacts, contexts: Sequence[ModelContext]) -> None:
        self.atlas, self.contexts = atlas, contexts
        self.numbers = {context.model.name: number for number, context in enumerate(contexts)}
        self.facts = {(number, facts.layer.address): facts for number, one in enumerate(contexts) for facts in one.model.layers}
        self.at: dict[Place, list[tuple[Family, tuple[int, ...]]]] = {}  # the families of a layer, with their members there
        for family in atlas.families:
            for members in family.members:
                self.at.setdefault(self.place(members), []).append((family, members.units))
        self.places = places_of(atlas)

    def place(self, members: Members) -> Place:
        """The layer of some members."""
        return self.numbers[members.model], members.layer

    def prefix(self, place: Place) -> str:
        """From the folder of families to a model's."""
        return f"../{self.contexts[place[0]].folder}/"

    def face(self, kind: str, place: Place) -> Face:
        """The faces of a layer in the figures of one kind."""
        view = self.contexts[place[0]].views[place[1]]
        return Face(view, self.prefix(place), f"{kind}{place[0]}{view.css}")

    def layer(self, place: Place) -> Link:
        """The page of a layer of the atlas; its model is named where there are several."""
        name = place[1] if len(self.contexts) == 1 else f"{self.contexts[place[0]].model.name}/{place[1]}"
        return Link(f"{self.prefix(place)}{self.face('', place).view.folder}/index.html", name)

    def layers_of(self, families: Sequence[Family]) -> tuple[Place, ...]:
        """The layers that hold members, each once."""
        return tuple(dict.fromkeys(self.place(members) for family in families for members in family.members))

    def styles(self, kind: str, size: float, tile: str, places: Sequence[Place]) -> tuple[Markup, ...]:
        """The rules that show faces in the figures of one kind."""
        return tuple(self.face(kind, place).style(size, tile) for place in dict.fromkeys(places))

    def switch(self, places: Sequence[Place]) -> Switch:
        """The faces that one may ask for where these layers are shown."""
        return switch_of(self.face("", place).view.faces for place in dict.fromkeys(places))

    def summary(self, family: Family) -> str:
        """How many neurons of which layers."""
        count = sum(len(members.units) for members in family.members)
        layers = [self.layer(self.place(members)).name for members in family.members]
        return f"{wording.counted(count, 'neuron')} of {wording.listed(layers)}"

    def group(self, kind: str, members: Members, shown: Sequence[int]) -> MemberGroup:
        """Members of one layer, by their places among them all."""
        place = self.place(members)
        face = self.face(kind, place)
        tiles = tuple(Tile(*link(face.view, members.units[at], face.prefix)) for at in shown)
        left = len(members.units) - len(shown)
        return MemberGroup(self.layer(place), tiles, face.css, f"{left:,} more" if left else "")

    def strip(self, members: Members) -> MemberGroup:
        """Members in a line, evenly picked where there are many."""
        return self.group("f", members, spread(len(members.units), STRIP))
