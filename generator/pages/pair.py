"""The page of two connected layers: all their connections as one picture, and the kernels of the strongest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from generator.addresses import FAMILIES, pair_file, pair_picture
from generator.analyses.matrix import binned, by_sign, strongest
from generator.pages import wording
from generator.pages.common import Common, Link, ModelContext, absolute
from generator.pages.faces import Switch, switch_of
from generator.pages.multiples import Face, Multiples, multiples
from generator.pages.views import LayerView, link
from generator.pictures import NOT_A_NUMBER, data_uri, indexed_png, png, signed_colours
from generator.records import Family, Pair

SIDE = 512  # pixels of the matrix either way, at most; shown at this many CSS pixels or a little under
LARGEST_STEP = 40  # CSS pixels of one connection, at most
LEVELS = (15, 10, 7)  # steps from zero to the full colour: enough for the eye; fewer where the picture would be too large
BYTES = 100_000  # of the picture
FEW = 4096  # pixels up to which true colours may make the smaller file
FULL = 0.99  # the share of the connections that the colours tell apart; the rest have the full colour
TICK = 52  # CSS pixels of an axis for each face that stands at it
TICKS = 8  # faces on an axis, at most: as many as a phone has room for
TICK_SIZE = 28  # CSS pixels of such a face
IN_TICKS = ">*::before"
COUNT = 20  # rows and columns of kernels
CELL = 30  # CSS pixels of a kernel, so that so many stand side by side
TOLD = 0.98  # the share of these kernels whose weights the colours tell apart
FAMILY_FIGURES = 3  # families with families on one page; a family's own page has more


class Axis(NamedTuple):
    """One side of the matrix: what its rows or columns are."""

    css: str
    faces: tuple[Markup, ...]  # of the neurons in the middle of equal parts of the axis
    order: str  # in which the neurons stand, in words


@dataclass(frozen=True)
class Matrix:
    """The picture of all connections."""

    href: str
    width: int  # CSS pixels
    height: int
    alt: str
    rows: Axis
    columns: Axis
    legend: str  # a picture of the scale
    ends: tuple[str, str, str]  # what its two ends and its middle stand for
    shown: str  # what a pixel is


@dataclass(frozen=True)
class Figure:
    """Kernels between some neurons of the two layers."""

    reader: Link | None  # the families of rows and of columns; None for the strongest neurons
    source: Link | None
    share: str  # of all the squared weight between the two layers
    left_out: str
    multiples: Multiples


@dataclass(frozen=True)
class PairPage:
    """Everything the page of two connected layers says."""

    common: Common
    source: Link
    target: Link
    lead: str
    facts: tuple[tuple[str, str], ...]
    largest: tuple[str, Markup, Markup] | None  # the largest norm, and links to the neurons that read and are read
    matrix: Matrix
    strongest: Figure | None  # None where no neuron with a page has a weight here
    families: tuple[Figure, ...]
    more_families: str
    how: str  # how the kernels came about
    styles: tuple[Markup, ...]
    switch: Switch  # of the faces at its sides


class PairPages:
    """Makes the pages of a layer's weights on those it reads."""

    def __init__(self, context: ModelContext, place: int) -> None:
        self.context, self.place, self.facts = context, place, context.model.layers[place]
        self.folder = context.views[self.facts.layer.address].folder

    def files(self, number: int) -> tuple[str, PairPage, str, bytes]:
        """Of one of the layers it reads: its page and the picture on it, each after its address from the model's folder."""
        pair = self.facts.reads[number]
        made, source = _Page(self.context, self.place, number, pair), pair.weights.source
        return f"{self.folder}/{pair_file(source)}", made.record(), f"{self.folder}/{pair_picture(source)}", made.picture()


class _Page:
    """One page in the making: the connections of the pair as numbers, rows and columns in the order of the picture."""

    def __init__(self, context: ModelContext, place: int, number: int, pair: Pair) -> None:
        self.context, self.place, self.number, self.pair = context, place, number, pair
        self.weights = pair.weights
        self.scaled = context.atlas.scaled_by_source
        self.norms, self.lean = pair.norms, pair.lean
        with np.errstate(all="ignore"):
            self.signed = self.norms * self.lean
            self.square = np.nan_to_num(np.square(self.norms.astype(np.float64)), nan=0.0, posinf=0.0)
        self.target_view, self.source_view = context.views[pair.weights.target], context.views[pair.weights.source]
        self.units, self.inputs = _order(self.target_view, self.square.sum(1)), _order(self.source_view, self.square.sum(0))
        self.limit = full_colour(self.signed)
        self.bins = (-(-len(self.units) // SIDE), -(-len(self.inputs) // SIDE))

    def record(self) -> PairPage:
        """What the page says."""
        figure = self.strongest()
        figures, left = self.families()
        return PairPage(
            common=self.common(),
            source=self.link(self.source_view),
            target=self.link(self.target_view),
            lead=f"{wording.counted(len(self.units), 'neuron')} reading {wording.counted(len(self.inputs), 'neuron')}",
            facts=self.numbers(),
            largest=self.largest(),
            matrix=self.matrix(),
            strongest=figure,
            families=figures,
            more_families=f"{wording.counted(left, 'more pair')} of families." if left else "",
            how=wording.how_obtained(self.weights),
            styles=self.styles(([figure] if figure else []) + list(figures)),
            switch=switch_of([self.target_view.faces, self.source_view.faces]),
        )

    def picture(self) -> bytes:
        """The matrix as a PNG file."""
        return matrix_png(self.signed[np.ix_(self.units, self.inputs)], self.limit, self.bins)

    def common(self) -> Common:
        """What this page has in common with all others; the pairs of the model are its neighbours."""
        context, weights = self.context, self.weights
        every = [pair for facts in context.model.layers for pair in facts.reads]
        at = next(index for index, pair in enumerate(every) if pair is self.pair)
        path = f"{context.folder}/{self.target_view.folder}/{pair_file(weights.source)}"
        home = context.layer_common(self.place)
        return home._replace(
            title=f"{weights.target} reading {weights.source} · {context.model.name}",
            trail=(*home.trail, Link("index.html", weights.target)),
            here=f"from {weights.source}",
            canonical=absolute(context.atlas.site_url, path),
            description=f"Every weight with which {weights.target} reads {weights.source}",
            previous=self.beside(every[at - 1]) if at else None,
            following=self.beside(every[at + 1]) if at + 1 < len(every) else None,
            up=Link("index.html", weights.target),
        )

    def beside(self, pair: Pair) -> Link:
        """The page of another pair."""
        where = self.context.views[pair.weights.target].folder
        same = pair.weights.target == self.weights.target
        name = f"from {pair.weights.source}" if same else pair.weights.target
        return Link(f"../{where}/{pair_file(pair.weights.source)}", name)

    def link(self, view: LayerView) -> Link:
        """The page of one of the two layers; without an address where it has none."""
        return self.context.layer_link(view.address, "../") or Link("", view.address)

    def numbers(self) -> tuple[tuple[str, str], ...]:
        """How the strengths of the connections are spread, term by term."""
        finite = self.norms[np.isfinite(self.norms)]
        excite, inhibit, mixed = by_sign(self.norms, self.lean)
        there, whole = max(excite + inhibit + mixed, 1), float(self.square.sum())
        few = -(-self.norms.size // 100)
        held = float(np.partition(self.square.ravel(), -few)[-few:].sum()) / whole if whole else 0.0
        parts = ((excite, "excite"), (inhibit, "inhibit"), (mixed, "mixed"))
        signs = ", ".join(f"{wording.percent(part / there)} {word}" for part, word in parts)
        zeros = int((self.norms == 0).sum())
        said = (
            ("Kernels", wording.kernel_line(self.weights).removesuffix(" kernels")),
            ("Connections", f"{self.norms.size:,}"),
            ("Exactly zero", wording.percent(zeros / self.norms.size) if zeros else ""),
            ("Signs", signs if excite + inhibit + mixed else ""),
            ("Median norm", wording.plain(float(np.median(finite))) if finite.size else ""),
            ("Strongest hundredth", f"holds {wording.percent(held)} of the squared weight" if whole else ""),
        )
        return tuple((term, value) for term, value in said if value)

    def largest(self) -> tuple[str, Markup, Markup] | None:
        """The largest norm, and the two neurons."""
        if not self.square.any():
            return None
        unit, source = divmod(int(self.square.argmax()), self.square.shape[1])
        norm = wording.plain(float(self.norms[unit, source]))
        return norm, named(self.target_view, unit), named(self.source_view, source)

    # -- the matrix

    def matrix(self) -> Matrix:
        """The picture of all connections, and what stands around it."""
        rows, cols = self.bins
        height, width = -(-len(self.units) // rows), -(-len(self.inputs) // cols)
        height, width = height * _step(height), width * _step(width)
        across = self.axis(self.source_view, self.inputs, width, "c")
        down = self.axis(self.target_view, self.units, height, "r")
        source, target = self.weights.source, self.weights.target
        few = "" if rows * cols == 1 else f" Each point is {rows} × {cols} connections, of which it shows the strongest."
        limit = wording.plain(self.limit)
        scale = np.arange(-LEVELS[0], LEVELS[0] + 1)[None] / LEVELS[0]
        return Matrix(
            href=pair_picture(source),
            width=width,
            height=height,
            alt=f"Every connection from {source}, in columns, to {target}, in rows, by strength and sign",
            rows=down,
            columns=across,
            legend=data_uri(png(signed_colours(scale, 1.0))),
            ends=(f"{wording.MINUS}{limit} inhibits", "0", f"{limit} excites"),
            shown=f"A row for each neuron of {target}, a column for each of {source}. {_orders(down, across)}{few}",
        )

    def axis(self, view: LayerView, order: np.ndarray, length: int, css: str) -> Axis:
        """One side of the matrix, with the faces that stand at it."""
        count = max(1, min(TICKS, length // TICK, len(order)))
        middle = [(2 * at + 1) * len(order) // (2 * count) for at in range(count)]
        alike = view.facts is not None and view.facts.statistics is not None
        faces = tuple(tick(view, int(order[at])) for at in middle)
        return Axis(css, faces, "alike" if alike else "norm")

    # -- kernels

    def strongest(self) -> Figure | None:
        """The kernels of the neurons that are most strongly connected, of those with pages."""
        chosen = [np.array(sorted(view.chosen), np.int64) for view in (self.target_view, self.source_view)]
        return self.figure("k", chosen[0], chosen[1])

    def figure(self, name: str, units: np.ndarray, inputs: np.ndarray, ends: tuple[Link, Link] | None = None) -> Figure | None:
        """The kernels between some neurons, in the order of the matrix; None where they are all zero."""
        rows, cols = strongest(self.square, units, inputs, COUNT)
        if not rows.size:
            return None
        rows, cols = self.units[np.isin(self.units, rows)], self.inputs[np.isin(self.inputs, cols)]
        held = float(self.square[np.ix_(rows, cols)].sum() / self.square.sum())
        faces = Face(self.target_view, "../", "kr"), Face(self.source_view, "../", "kc")
        return Figure(
            reader=ends[0] if ends else None,
            source=ends[1] if ends else None,
            share=wording.percent(held),
            left_out=_left_out(len(rows) * len(cols), len(units) * len(inputs) if ends else self.norms.size),
            multiples=multiples(name, self.weights, self.scaled, rows.tolist(), cols.tolist(), faces, TOLD, CELL),
        )

    def families(self) -> tuple[tuple[Figure, ...], int]:
        """The families that are connected most strongly, and how many more pairs there are."""
        readers, sources = (families_at(self.context, view.address) for view in (self.target_view, self.source_view))
        if not readers or not sources:
            return (), 0
        mean = _mean_between(self.square, [units for _, units in readers], [units for _, units in sources])
        order = [divmod(int(at), len(sources)) for at in np.argsort(-mean.ravel(), kind="stable")]
        meeting = [(row, col) for row, col in order if mean[row, col] > 0]
        figures = []
        for number, (row, col) in enumerate(meeting[:FAMILY_FIGURES]):
            ends = _family(readers[row][0]), _family(sources[col][0])
            figures.append(self.figure(f"f{number}", readers[row][1], sources[col][1], ends))
        return tuple(one for one in figures if one), len(meeting) - len(figures)

    def styles(self, figures: Sequence[Figure]) -> tuple[Markup, ...]:
        """The rules that show faces and kernels."""
        ends = ((self.target_view, "r"), (self.source_view, "c"))
        ticks = [Face(view, "../", css).style(TICK_SIZE, IN_TICKS) for view, css in ends]
        heads = [Face(view, "../", f"k{css}").style(CELL) for view, css in ends] if figures else []
        return (*ticks, *heads, *(one.multiples.style for one in figures))


def matrix_png(signed: np.ndarray, limit: float, bins: tuple[int, int]) -> bytes:
    """Signed strengths [row, col] as a PNG file, `bins` rows and columns to a point, full colour at `limit`.

    Points are as many pixels high and wide as gives the file the proportions in which the page shows it.
    """
    shown = binned(signed, *bins)
    high, wide = map(_step, shown.shape)
    square = gcd(high, wide)
    shown = shown.repeat(high // square, 0).repeat(wide // square, 1)
    with np.errstate(all="ignore"):
        part = np.clip(shown / limit, -1, 1) if limit > 0 else np.where(np.isnan(shown), np.nan, 0.0)
    files = (_in_levels(part, levels) for levels in LEVELS)
    return next((one for one in files if len(one) <= BYTES), b"") or _in_levels(part, 1)


def _in_levels(part: np.ndarray, levels: int) -> bytes:
    """Strengths -1..1 or NaN `[row, col]` as a PNG file, in so many steps from zero to either end."""
    palette = np.concatenate([signed_colours(np.arange(-levels, levels + 1) / levels, 1.0), NOT_A_NUMBER[None]])
    steps = np.nan_to_num(np.rint(part * levels) + levels, nan=2 * levels + 1).astype(np.uint8)
    return indexed_png(steps, palette, level=6) if steps.size > FEW else png(palette[steps])


def full_colour(signed: np.ndarray) -> float:
    """The strength that has the full colour: all but a hundredth of the connections that are not zero lie below it."""
    sizes = np.abs(signed[np.isfinite(signed) & (signed != 0)])
    return float(np.quantile(sizes, FULL)) if sizes.size else 0.0


def families_at(context: ModelContext, address: str) -> list[tuple[Family, np.ndarray]]:
    """The families with members in a layer, with these."""
    return [
        (family, np.array(members.units, np.int64))
        for family in context.atlas.families
        for members in family.members
        if members.model == context.model.name and members.layer == address
    ]


def named(view: LayerView, unit: int) -> Markup:
    """A neuron by its address, a link where it has a page."""
    name = f"{view.address}:{unit}"
    return Markup('<a href="../{}">{}</a>').format(view.page(unit), name) if unit in view.chosen else Markup("{}").format(name)


def tick(view: LayerView, unit: int) -> Markup:
    """A neuron's face and number at an axis; in a classifier with the first name of its class."""
    labels = view.facts.labels if view.facts else ()
    lead, _ = link(view, unit, "../")
    small = Markup("<small>&nbsp;{}</small>").format(labels[unit].partition(",")[0]) if labels else Markup("")
    return lead + Markup("{}{}</{}>").format(unit, small, "a" if unit in view.chosen else "span")


def _family(family: Family) -> Link:
    return Link(f"../../{FAMILIES}/{family.file}", family.name)


def _order(view: LayerView, totals: np.ndarray) -> np.ndarray:
    """The neurons of a layer, alike ones together where that is known, else those with most squared weight here first."""
    statistics = view.facts.statistics if view.facts else None
    return np.argsort(-totals if statistics is None else statistics.place, kind="stable")


def _orders(rows: Axis, columns: Axis) -> str:
    """In what order the neurons stand, in words."""
    said = {"alike": "neurons with like weights stand together", "norm": "those with the most squared weight here come first"}
    if rows.order == columns.order:
        return wording.sentence(said[rows.order])
    return wording.sentence(f"of the rows {said[rows.order]}; of the columns {said[columns.order]}")


def _step(count: int) -> int:
    """CSS pixels of one of `count` rows or columns."""
    return max(1, min(SIDE // count, LARGEST_STEP))


def _left_out(shown: int, whole: int) -> str:
    return f"{whole - shown:,} more connections are left out." if whole > shown else "Nothing is left out."


def _mean_between(square: np.ndarray, rows: Sequence[np.ndarray], cols: Sequence[np.ndarray]) -> np.ndarray:
    """Mean squared weight [row group, column group] of the connections between groups of units and groups of inputs."""
    ends = [np.zeros((len(groups), size)) for groups, size in zip((rows, cols), square.shape, strict=True)]
    for end, groups in zip(ends, (rows, cols), strict=True):
        for at, group in enumerate(groups):
            end[at, group] = 1 / len(group)
    return np.asarray(ends[0] @ square @ ends[1].T)
