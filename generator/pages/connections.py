"""The tables of a neuron's largest connections, in both directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from generator.addresses import folder, pair_file
from generator.analyses.connections import sign_word
from generator.pages import wording
from generator.pages.common import Link, ModelContext
from generator.pages.histogram import Histogram, histogram
from generator.pages.views import cell_rules
from generator.pictures import kernel_sheet, symmetric_limit
from generator.records import Largest, Pair, Weights


class Row(NamedTuple):
    """One connection of a table."""

    lead: Markup  # opens the link and shows the face
    row: Markup  # which kernel it shows; '' in the first rows, which the style sheet counts itself
    tail: Markup  # names the neuron and closes the link
    norm: str
    share: str
    side: Markup  # its class: 'e' excites, 'i' inhibits, none for others
    word: str  # 'excites', 'inhibits', 'mixed' or 'none'
    kept: str  # what cancelling paths leave, '' in a table without that column


@dataclass(frozen=True)
class Table:
    """A neuron's largest connections with one neighbouring layer."""

    name: str  # id of its element
    address: str  # of the layer at the other end
    layer: Link | None  # that layer's page; None where it has none
    pair: str  # address of the page of the two layers
    css: str  # class whose rule shows the faces of that layer
    shown: str  # what is shown and what is left out, the size and the scale of the kernels
    through: str  # what expanded weights go through, '' for the layer's own
    how: str  # how the kernels came about
    spread: Histogram | None
    cancels: bool  # whether rows say what cancelling paths leave
    rows: tuple[Row, ...]


class Made(NamedTuple):
    """A table with the kernels `[rank, row, col]` its rows show, and the weight that is drawn in full colour."""

    table: Table
    kernels: np.ndarray
    limit: float


COUNTED_ROWS = 24  # rows whose kernels the style sheet places by counting: it saves 14 bytes a row on every page
_SIDES = {"excites": Markup(" class=e"), "inhibits": Markup(" class=i")}
_ROWS = ("",) * COUNTED_ROWS + tuple(Markup(f" style=--k:{row}") for row in range(COUNTED_ROWS, 4096))


class Tables:
    """A neuron's table with one neighbouring layer; what the tables of a layer share is worked out once."""

    def __init__(self, context: ModelContext, pair: Pair, largest: Largest, name: str, scaled: bool) -> None:
        self.view, self.largest, self.name, self.weights = context.views[largest.there], largest, name, pair.weights
        self.link = context.layer_link(largest.there, "../")
        self.reading = largest.direction == "reads"
        self.scale = pair.weights.source_scale if scaled else None
        self.how = wording.method_line(pair.weights)
        self.through = wording.through_line(pair.weights)
        self.size = wording.kernel_line(pair.weights)
        self.pair = f"../{folder(pair.weights.target)}/{pair_file(pair.weights.source)}"

    def is_beside(self, unit: int) -> bool:
        """Whether the other layer is inside this one (or this one inside it), on another branch than the neuron's."""
        here, there = self.largest.here, self.largest.there
        inside = there.startswith(f"{here}.") or here.startswith(f"{there}.")
        return inside and not self.largest.norm[unit].any()

    def table(self, unit: int) -> Made:
        """A neuron's table. Connections that are exactly zero get no row."""
        kept = np.flatnonzero(self.largest.norm[unit] != 0)
        others = self.largest.other[unit, kept]
        kernels = shown_kernels(self.weights, self.scale, unit, others, self.reading)
        limit = symmetric_limit(kernels)
        zeros = self.largest.norm.shape[1] - len(kept)
        shown = wording.left_out_line(len(kept), self.largest.left_out, zeros, float(self.largest.shown[unit]))
        scale = " " + wording.sentence(f"{self.size}, {wording.colour_limits(limit)}") if len(kept) else ""
        table = Table(
            name=self.name,
            address=self.view.address,
            layer=self.link,
            pair=self.pair,
            css=self.view.css,
            shown=shown + scale,
            through=self.through,
            how=self.how,
            spread=histogram(self.largest, kernels, unit),
            cancels=self.weights.cancellation is not None,
            rows=tuple(map(Row, *self._columns(unit, kept, others))) if len(kept) else (),
        )
        return Made(table, kernels, limit)

    def _columns(self, unit: int, kept: np.ndarray, others: np.ndarray) -> tuple[Sequence, ...]:
        """The columns of the table, in the order of Row."""
        largest, view, units = self.largest, self.view, others.tolist()
        norms = wording.norm_cells(largest.norm[unit, kept].tolist())
        shares = [wording.share_cell(share) for share in largest.share[unit, kept].tolist()]
        words = list(map(sign_word, largest.excitation[unit, kept].tolist(), largest.inhibition[unit, kept].tolist()))
        sides = [_SIDES.get(word, Markup("")) for word in words]
        leads, tails = [view.leads[other] for other in units], [view.named[other] for other in units]
        return leads, _ROWS[: len(units)], tails, norms, shares, sides, words, self._remaining(unit, others)

    def _remaining(self, unit: int, others: np.ndarray) -> list[str]:
        """What cancelling paths leave of each connection."""
        left = self.weights.cancellation
        if left is None:
            return [""] * len(others)
        values = left[unit, others] if self.reading else left[others, unit]
        return [wording.kept_cell(value) for value in values.tolist()]


def shown_kernels(weights: Weights, scale: np.ndarray | None, unit: int, others: np.ndarray, reading: bool) -> np.ndarray:
    """The kernels of a table, float32 `[rank, row, col]`, times the source's own scale `[input]` where norms are too."""
    if reading:
        picked = weights.kernel[unit, others]
        return picked if scale is None else picked * np.abs(scale)[others, None, None]
    picked = weights.kernel[others, unit]
    return picked if scale is None else picked * np.abs(scale[unit])


def made(tables: Sequence[Tables], unit: int) -> tuple[Made, ...]:
    """One neuron's tables in one direction."""
    return tuple(one.table(unit) for one in tables if not one.is_beside(unit))


def kernel_rules(made: Sequence[Made]) -> tuple[Markup, ...]:
    """The rules that show the kernels of some tables, all cut from one picture."""
    filled = [one for one in made if one.table.rows]
    if not filled:
        return ()
    sheet, tops, height = kernel_sheet([(one.kernels, one.limit) for one in filled])
    cells = [(one.table.name, *one.kernels.shape[1:], top) for one, top in zip(filled, tops, strict=True)]
    return cell_rules(sheet, height, cells)
