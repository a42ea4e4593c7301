"""The tables of a neuron's largest connections, in both directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from generator.analyses.connections import sign_word
from generator.pages import wording
from generator.pages.common import Link, ModelContext
from generator.pages.views import cell_rule
from generator.pictures import data_uri, kernel_strip, symmetric_limit
from generator.records import Largest, Pair, Weights


class Row(NamedTuple):
    """One connection of a table."""

    lead: Markup  # opens the link and shows the face
    kernel: Markup  # names its picture in the table's strip; '' in the first rows, which the style sheet counts itself
    tail: Markup  # names the neuron and closes the link
    norm: str
    share: str
    word: str  # 'excites', 'inhibits', 'mixed' or 'none'
    kept: str  # what cancelling paths leave, '' in a table without that column


@dataclass(frozen=True)
class Table:
    """A neuron's largest connections with one neighbouring layer."""

    name: str  # id of its element
    address: str  # of the layer at the other end
    layer: Link | None  # that layer's page; None where it has none
    css: str  # class whose rule shows the faces of that layer
    shown: str  # what is shown and what is left out
    notes: tuple[str, ...]  # size, scale and origin of the kernels, a sentence each
    cancels: bool  # whether rows say what cancelling paths leave
    rows: tuple[Row, ...]


COUNTED_ROWS = 24  # rows whose kernels the style sheet places by counting: it saves 14 bytes a row on every page
_KERNELS = ("",) * COUNTED_ROWS + tuple(Markup(f' style="--k:{row}"') for row in range(COUNTED_ROWS, 4096))


class Tables:
    """A neuron's table with one neighbouring layer; what the tables of a layer share is worked out once."""

    def __init__(self, context: ModelContext, pair: Pair, largest: Largest, name: str, scaled: bool) -> None:
        self.view, self.largest, self.name, self.weights = context.views[largest.there], largest, name, pair.weights
        self.link = context.layer_link(largest.there, "../")
        self.reading = largest.direction == "reads"
        self.scale = pair.weights.source_scale if scaled else None
        self.how = wording.how_obtained(pair.weights)
        self.size = wording.kernel_line(pair.weights)

    def is_beside(self, unit: int) -> bool:
        """Whether the other layer is inside this one (or this one inside it), on another branch than the neuron's."""
        here, there = self.largest.here, self.largest.there
        inside = there.startswith(f"{here}.") or here.startswith(f"{there}.")
        return inside and not self.largest.norm[unit].any()

    def table(self, unit: int) -> tuple[Table, Markup]:
        """A neuron's table, and the rule that shows its kernels. Connections that are exactly zero get no row."""
        kept = np.flatnonzero(self.largest.norm[unit] != 0)
        others = self.largest.other[unit, kept]
        kernels = shown_kernels(self.weights, self.scale, unit, others, self.reading)
        limit = symmetric_limit(kernels)
        zeros = self.largest.norm.shape[1] - len(kept)
        shown = wording.left_out_line(len(kept), self.largest.left_out, zeros, float(self.largest.shown[unit]))
        notes = (wording.sentence(f"{self.size}; {wording.colour_limits(limit)}"), self.how) if len(kept) else (self.how,)
        rows = tuple(map(Row, *self._columns(unit, kept, others))) if len(kept) else ()
        rule = cell_rule(self.name, data_uri(kernel_strip(kernels, limit)), *kernels.shape[1:]) if rows else Markup("")
        cancels = self.weights.cancellation is not None
        return Table(self.name, self.view.address, self.link, self.view.css, shown, notes, cancels, rows), rule

    def _columns(self, unit: int, kept: np.ndarray, others: np.ndarray) -> tuple[Sequence, ...]:
        """The columns of the table, in the order of Row."""
        largest, view, units = self.largest, self.view, others.tolist()
        norms = wording.norm_cells(largest.norm[unit, kept].tolist())
        shares = [wording.share_cell(share) for share in largest.share[unit, kept].tolist()]
        words = list(map(sign_word, largest.excitation[unit, kept].tolist(), largest.inhibition[unit, kept].tolist()))
        leads, tails = [view.leads[other] for other in units], [view.tails[other] for other in units]
        return leads, _KERNELS[: len(units)], tails, norms, shares, words, self._remaining(unit, others)

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


def made(tables: Sequence[Tables], unit: int) -> tuple[tuple[Table, ...], tuple[Markup, ...]]:
    """One neuron's tables in one direction, and the rules of those that show kernels."""
    made = [one.table(unit) for one in tables if not one.is_beside(unit)]
    return tuple(table for table, _ in made), tuple(rule for _, rule in made if rule)
