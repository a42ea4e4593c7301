"""The tables of a neuron's largest connections, in both directions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from generator.addresses import folder, pair_file
from generator.analyses.connections import ONE_SIDED
from generator.pages import wording
from generator.pages.common import ModelContext
from generator.pages.histogram import Histogram, Histograms
from generator.pages.sharing import asked, is_inside, is_large, shared
from generator.pages.views import kernel_place, sheet_style
from generator.records import Largest, LayerFacts, Pair
from generator.sheets import kernel_sheets, symmetric_limits


class Table(NamedTuple):
    """A neuron's largest connections with one neighbouring layer."""

    name: str  # id of its element
    address: str  # of the layer at the other end
    head: Markup  # its heading: that layer, and the page of the two
    shown: str  # what is shown and what is left out, the size and the scale of the kernels
    through: str  # what expanded weights go through, '' for the layer's own
    how: str  # how the kernels came about
    spread: Histogram | None
    rows: Markup  # the table itself, '' where every connection is zero


COUNTED_ROWS = 24  # rows whose kernels the style sheet places by counting: it saves 14 bytes a row on every page
# End tags, quotes and scopes that HTML lets one leave out are left out: a kilobyte on each of thousands of pages.
_ROWS = ("<tr>",) * COUNTED_ROWS + tuple(f"<tr style=--k:{row}>" for row in range(COUNTED_ROWS, 4096))
_ENDS = ("<td>none</tr>\n", "<td>mixed</tr>\n", "<td class=e>excites</tr>\n", "<td class=i>inhibits</tr>\n")
_NONE, _MIXED, _EXCITES, _INHIBITS = range(4)  # places in _ENDS


class Tables:
    """The tables of a layer's neurons with one neighbouring layer; positions are places in `units`, the neurons asked for."""

    def __init__(
        self, context: ModelContext, pair: Pair, largest: Largest, name: str, units: np.ndarray, with_spread: bool
    ) -> None:
        self.view, self.largest, self.name, weights = context.views[largest.there], largest, name, pair.weights
        self.inside, self.how, self.through = is_inside(largest), wording.method_line(weights), wording.through_line(weights)
        self.size = wording.kernel_line(weights)
        self.head = _heading(context, pair, largest.there, context.headings[2])
        picked = slice(None) if len(units) == len(largest.norm) else units
        self.other, self.norm, self.kernels = (
            np.asarray(values)[picked] for values in (largest.other, largest.norm, largest.kernels)
        )
        self.share, self.shown = np.asarray(largest.share)[picked], np.asarray(largest.shown)[picked].tolist()
        self.signs = signs(np.asarray(largest.excitation)[picked], np.asarray(largest.inhibition)[picked])
        self.kept = np.where(self.norm != 0, 1, 0).sum(1)  # connections that are exactly zero get no row; they come last
        self.limit = symmetric_limits(self.kernels)
        self.spreads = Histograms(largest, picked, self.norm, self.kernels) if with_spread else None
        self.left = None if weights.cancellation is None else self._left(weights.cancellation, units)
        kept = "<th>kept" if self.left is not None else ""
        self.css, self.place = f'class="k {self.view.css}"', kernel_place(*self.kernels.shape[2:])
        self.opening = f"<thead><tr><th>neuron<th>norm<th>share %{kept}<th>sign</tr>\n<tbody>\n"

    def _left(self, cancellation: np.ndarray, units: np.ndarray) -> np.ndarray:
        """What cancelling paths leave of each connection, float32 `[position, rank]`."""
        here = np.broadcast_to(units[:, None], self.other.shape)
        ends = (here, self.other) if self.largest.direction == "reads" else (self.other, here)
        return np.asarray(cancellation[ends])

    def table(self, position: int, top: int, mark: str) -> Table:
        """A neuron's table, whose kernels begin at the row `top` of their picture; its id begins with `mark`."""
        kept, limit = int(self.kept[position]), float(self.limit[position])
        zeros = self.norm.shape[1] - kept
        shown = wording.left_out_line(kept, self.largest.left_out, zeros, self.shown[position])
        scale = " " + wording.sentence(f"{self.size}, {wording.colour_limits(limit)}") if kept else ""
        opening = f"<table id={mark}{self.name} {self.css} style={self.place}{top}>\n{self.opening}"
        rows = Markup(opening + self._rows(position, kept) + "</table>\n") if kept else Markup("")
        spread = self.spreads.of(position) if self.spreads else None
        return Table(mark + self.name, self.view.address, self.head, shown + scale, self.through, self.how, spread, rows)

    def _rows(self, position: int, kept: int) -> str:
        """The rows of a table, as markup."""
        openings = self.view.openings
        leads = [openings[other] for other in self.other[position, :kept].tolist()]
        norms = _escaped(wording.norm_cells(self.norm[position, :kept].tolist()))
        shares = _escaped(wording.share_cells(self.share[position, :kept].tolist()))
        if self.left is not None:
            left = map(wording.kept_cell, self.left[position, :kept].tolist())
            shares = [f"{share}<td>{one}" for share, one in zip(shares, left, strict=True)]
        ends = [_ENDS[sign] for sign in self.signs[position, :kept].tolist()]
        rows = zip(_ROWS, leads, norms, shares, ends, strict=False)
        return "".join([f"{row}{lead}{norm}<td>{share}{end}" for row, lead, norm, share, end in rows])


def how_made(tables: Sequence[Table]) -> str:
    """How the kernels of one side's tables came about, each way once; '' without any."""
    ways: dict[str, list[str]] = {}
    for table in tables:
        if table.rows:
            ways.setdefault(table.how, []).append(table.address)
    if len(ways) < 2:
        return "".join(ways)
    return " ".join(f"{wording.listed(addresses)}: {way}" for way, addresses in ways.items())


def _escaped(cells: list[str]) -> list[str]:
    """Numbers as markup; of those that fall from row to row the last is the first to be told as `<0.1`."""
    return cells if cells[-1][0] != "<" else [cell.replace("<", "&lt;") for cell in cells]


def _heading(context: ModelContext, pair: Pair, there: str, element: str) -> Markup:
    """The name of the layer `there`, a link where it has a page, and a link to the page of the pair."""
    link = context.layer_link(there, "../")
    name = Markup("<a href={}>{}</a>").format(link.href, there) if link else Markup("{}").format(there)
    address = f"../{folder(pair.weights.target)}/{pair_file(pair.weights.source)}"
    return Markup("<{2}>{0} <a href={1}>all pairs</a></{2}>\n").format(name, address, element)


def signs(excitation: np.ndarray, inhibition: np.ndarray) -> np.ndarray:
    """What `analyses.connections.sign_word` says of many connections, as places in _ENDS: int8 of the same shape."""
    with np.errstate(invalid="ignore"):
        positive, negative = np.abs(excitation.astype(np.float64)), np.abs(inhibition.astype(np.float64))
        total = positive + negative
        excites, inhibits = positive >= ONE_SIDED * total, negative >= ONE_SIDED * total
    found = np.where(excites, np.where(negative < np.inf, _EXCITES, _MIXED), np.where(inhibits, _INHIBITS, _MIXED))
    return np.where(total == 0, _NONE, found).astype(np.int8)


class Sides:
    """The tables of a layer's neurons in both directions, and their kernels."""

    def __init__(self, context: ModelContext, facts: LayerFacts, units: np.ndarray) -> None:
        show, facts = asked(facts), shared(facts)

        def tables(pair: Pair, one: Largest, name: str) -> Tables:
            return Tables(context, pair, one, name, units, with_spread=is_large(one, show))

        self.reads = [tables(pair, pair.reads, f"r{number}") for number, pair in enumerate(facts.reads)]
        self.writes = [tables(pair, pair.writes, f"w{number}") for number, pair in enumerate(facts.writes)]
        self.every = self.reads + self.writes
        self.counts = np.stack([one.kept for one in self.every], 1) if self.every else np.zeros((len(units), 0), int)
        self.sheets = kernel_sheets([one.kernels for one in self.every], [one.limit for one in self.every], self.counts)

    def of(self, position: int, mark: str = "") -> tuple[tuple[Table, ...], tuple[Table, ...]]:
        """One neuron's tables: what it reads, and what it writes to. Their ids begin with `mark`."""
        tops = self.sheets[position].tops or (0,) * len(self.every)
        made = [
            one.table(position, top, mark) if one.kept[position] or not one.inside else None
            for one, top in zip(self.every, tops, strict=True)
        ]
        reads, writes = made[: len(self.reads)], made[len(self.reads) :]
        return tuple(filter(None, reads)), tuple(filter(None, writes))

    def sheet(self, position: int) -> Markup:
        """The attribute of the element around one neuron's tables that gives them the picture of their kernels; '' without."""
        sheet = self.sheets[position]
        return Markup(f' style="{sheet_style(sheet.png, sheet.height)}"') if sheet.png else Markup("")
