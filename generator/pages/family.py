"""The page of a family: its members, what they read and write as a group, and their kernels with other families."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from generator.addresses import FAMILIES
from generator.analyses.connections import strengths, top
from generator.analyses.flow import Flow, flow
from generator.pages import wording
from generator.pages.common import Common, Link, ModelContext, absolute, worded
from generator.pages.faces import Switch
from generator.pages.families import FamilyContext, MemberGroup, Place
from generator.pages.multiples import CELL_SIZE, IN_HEAD, Multiples, multiples
from generator.pages.views import IN_STRIP, ROW_SIZE
from generator.records import AtlasFacts, Family, Members, Pair

SHOWN = 12  # neurons of a table, and rows and columns of small multiples, at most
FIGURES = 6  # small multiples of a page, at most
MEMBER_SIZE = 72  # CSS pixels of a member's face


class FlowRow(NamedTuple):
    """A neuron or a family at the other end."""

    lead: Markup
    positive: str  # per cent of the group's squared weight with the layer
    negative: str
    red: int  # length of the bar of positive weights, per cent of the longest bar of the table
    blue: int


@dataclass(frozen=True)
class FlowTable:
    """What the members in one layer read from, or write to, one neighbouring layer: by neuron and by family."""

    layer: Link | None
    address: str
    shown: str
    how: str
    css: str
    neurons: tuple[FlowRow, ...]
    families: tuple[FlowRow, ...]


@dataclass(frozen=True)
class FlowGroup:
    """What the members in one layer read and write."""

    layer: Link
    reads: tuple[FlowTable, ...]
    writes: tuple[FlowTable, ...]


@dataclass(frozen=True)
class Figure:
    """The kernels between this family and another one."""

    reader: Link  # the family of the rows
    source: Link  # of the columns
    share: str  # how much of this family's squared weight with the layer they hold, in a sentence
    left_out: str  # '' or what is not shown
    multiples: Multiples


@dataclass(frozen=True)
class FamilyPage:
    """Everything the page of a family says."""

    common: Common
    name: str
    summary: str
    note: Markup
    members: tuple[MemberGroup, ...]
    flows: tuple[FlowGroup, ...]
    figures: tuple[Figure, ...]
    styles: tuple[Markup, ...]
    switch: Switch  # of the faces in its grids, tables and figures


class Meeting(NamedTuple):
    """Another family (or this one) at the other end of a pair of layers."""

    share: float  # of the squared weight that this family's members have with the layer
    place: Place  # of the members
    pair: Pair
    reading: bool  # whether the members read the others
    members: tuple[int, ...]
    others: tuple[int, ...]
    family: Family


def family_pages(atlas: AtlasFacts, contexts: Sequence[ModelContext]) -> Iterator[tuple[str, FamilyPage]]:
    """The page of every family, and its path."""
    context = FamilyContext(atlas, contexts)
    for position in range(len(atlas.families)):
        yield f"{FAMILIES}/{atlas.families[position].file}", _Page(context, position).record()


class _Page:
    """Makes the page of one family; gathers the families met on the way, and the layers whose faces it shows."""

    def __init__(self, context: FamilyContext, position: int) -> None:
        self.context, self.position = context, position
        self.family = context.atlas.families[position]
        self.meetings: list[Meeting] = []
        self.in_tables: list[Place] = []

    def record(self) -> FamilyPage:
        """The page."""
        context, family = self.context, self.family
        flows = tuple(self.flows(members) for members in family.members)
        met = sorted(self.meetings, key=lambda one: -one.share)[:FIGURES]
        figures = tuple(self.figure(f"m{number}", one) for number, one in enumerate(met))
        pictured = [(one.place[0], end) for one in met for end in (one.pair.weights.target, one.pair.weights.source)]
        return FamilyPage(
            common=self.common(),
            name=family.name,
            summary=context.summary(family),
            note=worded(family.note, context.places, "../"),
            members=tuple(context.group("g", members, range(len(members.units))) for members in family.members),
            flows=flows,
            figures=figures,
            styles=(
                *context.styles("g", MEMBER_SIZE, IN_STRIP, context.layers_of((family,))),
                *context.styles("t", ROW_SIZE, IN_HEAD, self.in_tables),
                *context.styles("m", CELL_SIZE, IN_HEAD, pictured),
                *(figure.multiples.style for figure in figures),
            ),
            switch=context.switch((*context.layers_of((family,)), *self.in_tables, *pictured)),
        )

    def common(self) -> Common:
        """What this page has in common with all others."""
        atlas, at = self.context.atlas, self.position
        families = atlas.families
        before, after = families[at - 1 : at] if at else (), families[at + 1 : at + 2]
        return Common(
            root="../",
            title=f"{self.family.name} · {atlas.title}",
            trail=(Link("../index.html", atlas.title), Link("index.html", "Families")),
            here=self.family.name,
            canonical=absolute(atlas.site_url, f"{FAMILIES}/{self.family.file}"),
            description=f"{self.family.name}: {self.context.summary(self.family)}, with what they read and write",
            previous=next((Link(one.file, one.name) for one in before), None),
            following=next((Link(one.file, one.name) for one in after), None),
            up=Link("index.html", "families"),
        )

    def flows(self, members: Members) -> FlowGroup:
        """What the members in one layer read and write."""
        place = self.context.place(members)
        facts = self.context.facts[place]
        reads = [self.table(place, members, pair, True) for pair in facts.reads]
        writes = [self.table(place, members, pair, False) for pair in facts.writes]
        return FlowGroup(self.context.layer(place), tuple(filter(None, reads)), tuple(filter(None, writes)))

    def table(self, place: Place, members: Members, pair: Pair, reading: bool) -> FlowTable | None:
        """What some members have with one neighbouring layer; None where it is nothing at all."""
        found = flow(pair.weights, members.units, reading, self.context.atlas.scaled_by_source)
        if not found.total.any():
            return None
        other = (place[0], pair.weights.source if reading else pair.weights.target)
        self.in_tables.append(other)
        face = self.context.face("t", other)
        picked = [one for one in _largest(found.total) if found.total[one]]
        zeros = min(len(found.total), SHOWN) - len(picked)
        left, held = len(found.total) - SHOWN, float(found.total[picked].sum()) / float(found.total.sum())
        numbers = [(float(found.positive[one]), float(found.negative[one])) for one in picked]
        return FlowTable(
            layer=self.context.layer(other) if other in self.context.facts else None,
            address=other[1],
            shown=wording.left_out_line(len(picked), max(left, 0), zeros, held),
            how=wording.how_obtained(pair.weights),
            css=face.css,
            neurons=_rows([face.link(one, named=True) for one in picked], numbers, found),
            families=self.by_family(place, members, pair, reading, found),
        )

    def by_family(self, place: Place, members: Members, pair: Pair, reading: bool, found: Flow) -> tuple[FlowRow, ...]:
        """The same by the families at the other end, which are kept for the figures."""
        other = (place[0], pair.weights.source if reading else pair.weights.target)
        whole, met = float(found.total.sum()), []
        for family, units in self.context.at.get(other, ()):
            share = sum(found.among(units)) / whole
            if share > 0:
                met.append(Meeting(share, place, pair, reading, members.units, units, family))
        met.sort(key=lambda one: -one.share)
        self.meetings += [one for one in met if reading or one.family is not self.family]  # its own is met from both ends
        names = [Markup('<a href="{}">{}</a>').format(one.family.file, one.family.name) for one in met[:SHOWN]]
        return _rows(names, [found.among(one.others) for one in met[:SHOWN]], found)

    def figure(self, name: str, one: Meeting) -> Figure:
        """The strongest kernels between this family and another one, rows and columns in the order of their families."""
        weights, scaled = one.pair.weights, self.context.atlas.scaled_by_source
        units, inputs = (one.members, one.others) if one.reading else (one.others, one.members)
        scale = weights.source_scale[list(inputs)] if scaled and weights.source_scale is not None else None
        norms = strengths(weights.kernel[np.ix_(list(units), list(inputs))], scale)
        rows, columns = _strongest(units, norms), _strongest(inputs, norms.T)
        faces = self.context.face("m", (one.place[0], weights.target)), self.context.face("m", (one.place[0], weights.source))
        own, other = Link(self.family.file, self.family.name), Link(one.family.file, one.family.name)
        return Figure(
            reader=own if one.reading else other,
            source=other if one.reading else own,
            share=_share_line(one),
            left_out=_left_out(len(rows), len(units), len(columns), len(inputs)),
            multiples=multiples(name, weights, scaled, rows, columns, faces),
        )


def _largest(total: np.ndarray) -> list[int]:
    """The neurons with the largest squared weight, largest first."""
    return top(np.sqrt(total)[None], SHOWN)[0].tolist()


def _strongest(units: Sequence[int], norms: np.ndarray) -> list[int]:
    """The units whose kernels `[unit, other]` are strongest together, in the order in which they came."""
    kept = _largest(np.square(norms.astype(np.float64)).sum(1))
    return [unit for at, unit in enumerate(units) if at in kept]


def _share_line(one: Meeting) -> str:
    """How much of what this family reads, or writes, is in a figure."""
    weights, share = one.pair.weights, wording.percent(one.share)
    if one.reading:
        return f"They hold {share} of the squared weight with which the rows read {weights.source}."
    return f"They hold {share} of the squared weight that the columns write to {weights.target}."


def _left_out(rows: int, all_rows: int, columns: int, all_columns: int) -> str:
    """What of a figure is not shown."""
    said = [f"{rows} of {all_rows} rows"] * (rows < all_rows) + [f"{columns} of {all_columns} columns"] * (
        columns < all_columns
    )
    return wording.sentence(f"shown are the strongest: {wording.listed(said)}") if said else ""


def _rows(leads: Sequence[Markup], numbers: Sequence[tuple[float, float]], found: Flow) -> tuple[FlowRow, ...]:
    """The rows of a table, from what each has of positive and of negative squared weight."""
    whole = float(found.total.sum())
    longest = max((sum(pair) for pair in numbers if np.isfinite(sum(pair))), default=0.0) or 1.0
    rows = []
    for lead, pair in zip(leads, numbers, strict=True):
        cells = [wording.share_cell(part / whole) for part in pair]
        lengths = [round(100 * part / longest) if np.isfinite(sum(pair)) else 0 for part in pair]
        rows.append(FlowRow(lead, cells[0], cells[1], lengths[0], lengths[1]))
    return tuple(rows)
