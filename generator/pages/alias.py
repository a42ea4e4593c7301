"""Second addresses: pages that lead from the branches of a concat to the neurons they made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from generator.addresses import NEURONS, anchor, folder, neuron_page, section
from generator.pages.common import Link, ModelContext, absolute
from generator.records import Branch, LayerFacts, ModelFacts


class AliasPage(NamedTuple):
    """A second address of a neuron or a layer, leading to the first."""

    root: str
    address: str
    same_as: str
    href: str
    canonical: str
    neurons: tuple[tuple[str, Link], ...] = ()  # of a page for all neurons of a branch: place on it, and where the neuron is


def aliased(model: ModelFacts) -> Iterator[tuple[LayerFacts, Branch]]:
    """The branches of concats that get aliases.

    A branch that is a layer of the atlas itself has pages of its own and gets none; of several concats the first counts.
    """
    taken = {folder(facts.layer.address) for facts in model.layers}
    for facts in model.layers:
        for branch in facts.layer.branches:
            if folder(branch.address) not in taken:
                taken.add(folder(branch.address))
                yield facts, branch


def branch_units(facts: LayerFacts, branch: Branch) -> list[int]:
    """The neurons of a branch that have pages, by their number in the concat."""
    return facts.chosen[(facts.chosen >= branch.start) & (facts.chosen < branch.stop)].tolist()


def alias_pages(context: ModelContext) -> Iterator[tuple[str, AliasPage]]:
    """Pages that lead from the branches of concats to the neurons they made: path from the model's folder, and page."""
    for facts, branch in aliased(context.model):
        layer, there, where = facts.layer.address, folder(facts.layer.address), folder(branch.address)
        index = f"{there}/index.html"
        yield f"{where}/index.html", _alias(context, branch.address, layer, index, f"#{anchor(branch.start)}")
        if context.atlas.per_layer:
            yield f"{where}/{NEURONS}", _joined(context, facts, branch)
            continue
        for unit in branch_units(facts, branch):
            own = unit - branch.start
            page = _alias(context, f"{branch.address}:{own}", f"{layer}:{unit}", neuron_page(layer, unit, facts.layer.neurons))
            yield neuron_page(branch.address, own, branch.stop - branch.start), page


def _joined(context: ModelContext, facts: LayerFacts, branch: Branch) -> AliasPage:
    """The page that leads from the neurons of a branch to their places on the page of the concat's."""
    layer, view = facts.layer.address, context.views[facts.layer.address]
    links = [
        (section(unit - branch.start), Link(f"../{view.page(unit)}", f"{branch.address}:{unit - branch.start}"))
        for unit in branch_units(facts, branch)
    ]
    return _alias(context, branch.address, layer, f"{folder(layer)}/{NEURONS}")._replace(neurons=tuple(links))


def count_aliases(facts: LayerFacts, branch: Branch, per_layer: bool) -> int:
    """How many of these pages a branch has."""
    return 2 if per_layer else 1 + len(branch_units(facts, branch))


def _alias(context: ModelContext, address: str, same_as: str, path: str, mark: str = "") -> AliasPage:
    """A page that leads to `path`, from the model's folder, and to the place `mark` on it."""
    return AliasPage(
        "../../", address, same_as, f"../{path}{mark}", absolute(context.atlas.site_url, f"{context.folder}/{path}")
    )
