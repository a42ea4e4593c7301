"""The tables of a site held against each other: every row against the numbers of its layer, these against their mirror.

A connection stands in two tables, in what one neuron writes to and in what the other reads. Each row of a page has to say what
the `layer.json` of its layer says, to the digits it shows; and the two layers' files have to say the same of the connection.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from generator.addresses import folder, neuron_page
from generator.analyses.connections import sign_word
from generator.publishing.htmlpage import Row

ROUNDED = 0.51e-3  # relative: what four significant digits may be off by, and a little


@dataclass(frozen=True)
class Side:
    """The connections of a layer with one other, from its side; NaN where the file says null."""

    there: str  # the layer at the other end
    other: np.ndarray  # int [unit, rank]
    norm: np.ndarray  # float [unit, rank]
    excitation: np.ndarray  # float [unit, rank]
    inhibition: np.ndarray  # float [unit, rank]
    kept: np.ndarray | None  # float [unit, rank]
    left_out: int


@dataclass(frozen=True)
class LayerNumbers:
    """What a `layer.json` says, as far as it is checked."""

    model: str  # folder of the model
    address: str
    neurons: int
    units: tuple[int, ...]  # those that have pages
    sides: dict[str, Side]  # by the id that its table has on the pages: 'r0', 'w3'
    per_layer: bool = False  # whether its neurons stand on one page

    def page(self, unit: int) -> str:
        """The page of a neuron, from the folder of the site."""
        return f"{self.model}/{neuron_page(self.address, unit, self.neurons, self.per_layer)}"

    @property
    def file(self) -> str:
        """Where these numbers stand."""
        return f"{self.model}/{folder(self.address)}/layer.json"


def layer_numbers(model: str, said: Mapping[str, Any], per_layer: bool = False) -> LayerNumbers:
    """Read the content of a `layer.json`. Raises KeyError, TypeError or ValueError where it is not one."""
    sides = {f"{key[0]}{number}": _side(table) for key in ("reads", "writes") for number, table in enumerate(said[key])}
    return LayerNumbers(model, str(said["layer"]), int(said["neurons"]), tuple(map(int, said["units"])), sides, per_layer)


def _side(table: Mapping[str, Any]) -> Side:
    norm, excitation, inhibition = (np.array(table[name], np.float64) for name in ("norm", "excitation", "inhibition"))
    kept = np.array(table["cancellation"], np.float64) if "cancellation" in table else None
    other, left_out = np.array(table["other"], np.int64), int(table["left_out"])
    return Side(str(table["layer"]), other, norm, excitation, inhibition, kept, left_out)


Layers = Mapping[tuple[str, str], LayerNumbers]  # by folder of the model, address


# -- a page against the numbers of its layer ------------------------------------------------------------------------------


def page_problems(layers: Layers, layer: LayerNumbers, at: int, tables: Mapping[str, list[Row]]) -> Iterator[str]:
    """What the tables on the page of `units[at]` say that `layer.json` does not. `Row.address` is from the folder of the site.

    A page without any table says nothing: a template may leave them out.
    """
    for name, side in layer.sides.items() if tables else ():
        shown = [rank for rank, norm in enumerate(side.norm[at]) if norm != 0]
        rows = tables.get(name, [])
        if [row.unit for row in rows] != [str(side.other[at, rank]) for rank in shown]:
            yield f"table {name}: its rows are not the connections with {side.there} that {layer.file} lists"
            continue
        there = layers.get((layer.model, side.there))
        for row, rank in zip(rows, shown, strict=True):
            for text in _row_problems(there, side, (at, rank), row):
                yield f"table {name}, row {side.there}:{row.unit}: {text}"


def _row_problems(there: LayerNumbers | None, side: Side, at: tuple[int, int], row: Row) -> Iterator[str]:
    """What one row says that the numbers do not."""
    unit = int(row.unit)
    right = there.page(unit) if there and unit in there.units else None
    if row.address != right:
        yield f"leads to {row.address or 'nothing'}, expected {right or 'no link'}"
    if not agrees(row.norm, side.norm[at]):
        yield f"says norm {row.norm}, layer.json {side.norm[at]:g}"
    if side.kept is not None and row.kept and not agrees(row.kept, side.kept[at]):
        yield f"says {row.kept} is kept, layer.json {side.kept[at]:g}"
    if row.sign and row.sign not in _signs(side.excitation[at], side.inhibition[at]):
        yield f"says {row.sign}, layer.json {side.excitation[at]:g} and {side.inhibition[at]:g}"


def _signs(excitation: float, inhibition: float) -> set[str]:
    """What may be said of these sums, given that they are rounded; anything, where the file does not know them."""
    if not (math.isfinite(excitation) and math.isfinite(inhibition)):
        return {"excites", "inhibits", "mixed"}
    return {sign_word(excitation * (1 + off), inhibition * (1 - off)) for off in (-ROUNDED, 0.0, ROUNDED)}


_NUMBER = re.compile(r"(<?)(\d+(?:\.(\d*))?)(?:e([+-]?\d+))?")


def agrees(text: str, value: float) -> bool:
    """Whether a number as a page writes it is this one, to the digits it shows; what is no number agrees with what is none."""
    found = _NUMBER.fullmatch(text.replace("\u2212", "-"))
    if not found or not math.isfinite(value):
        return not found and not math.isfinite(value)
    scale = 10.0 ** int(found[4] or 0)
    shown, slack = float(found[2]) * scale, ROUNDED * abs(value)
    if found[1]:
        return 0 <= value <= shown + slack
    return abs(shown - value) <= 0.5 * scale * 10.0 ** -len(found[3] or "") + slack


# -- a layer against the layers it reads ----------------------------------------------------------------------------------


def mirror_problems(layers: Layers) -> Iterator[tuple[str, str]]:
    """Where two layers say different things of one connection: the file of the layer that reads, and what is wrong."""
    for (model, address), layer in layers.items():
        for name, side in layer.sides.items():
            source = layers.get((model, side.there))
            if name[0] == "r" and source and layer.units and source.units:  # a layer without pages lists nothing
                mirrors = [each for key, each in source.sides.items() if key[0] == "w" and each.there == address]
                if not mirrors:
                    yield layer.file, f"reads {side.there}, whose layer.json knows nothing of it"
                for mirror in mirrors[:1]:
                    yield from ((layer.file, text) for text in _between(layer, side, source, mirror))


def _between(target: LayerNumbers, read: Side, source: LayerNumbers, written: Side) -> Iterator[str]:
    """What differs between a table of what a layer reads and the table of its source that mirrors it."""
    ours = _keys(np.array(target.units), read.other, source.neurons)
    theirs = _keys(np.array(source.units), written.other.astype(np.int64), target.neurons, swapped=source.neurons)
    _, here, there = np.intersect1d(ours, theirs, return_indices=True)
    for word, own, other in (
        ("norm", read.norm, written.norm),
        ("excitation", read.excitation, written.excitation),
        ("inhibition", read.inhibition, written.inhibition),
        ("share kept", read.kept, written.kept),
    ):
        if own is None or other is None:
            continue
        first, second = own.ravel()[here], other.ravel()[there]
        for at in np.flatnonzero(~((first == second) | (np.isnan(first) & np.isnan(second)))):
            unit, one = divmod(int(ours[here[at]]), source.neurons)
            yield (
                f"{word} of {target.address}:{unit} and {source.address}:{one} is {first[at]:g}, "
                f"but {second[at]:g} in {source.file}"
            )
    yield from _missing(target, read, source, written, ours, theirs)
    yield from _missing(source, written, target, read, theirs, ours, "writes to")


def _keys(units: np.ndarray, other: np.ndarray, neurons: int, swapped: int = 0) -> np.ndarray:
    """A number for each connection of a table, row by row: its target times the neurons of the source, plus its source."""
    units = np.broadcast_to(units[:, None], other.shape)
    return (other * swapped + units if swapped else units * neurons + other).ravel()


def _missing(
    here: LayerNumbers, own: Side, there: LayerNumbers, mirror: Side, ours: np.ndarray, theirs: np.ndarray, verb: str = "reads"
) -> Iterator[str]:
    """Connections that the mirror leaves out although it lists weaker ones of the same neuron, or leaves out none."""
    weakest = np.full(there.neurons, np.inf)  # of a neuron without a page: nothing is expected
    if mirror.norm.size:
        least = np.where(np.isnan(mirror.norm).any(axis=1), np.inf, mirror.norm.min(axis=1))
        weakest[np.array(there.units)] = least if mirror.left_out else 0.0
    strong = own.norm > weakest[own.other]
    for at in np.flatnonzero(strong.ravel() & ~np.isin(ours, theirs)):
        row, rank = divmod(int(at), own.norm.shape[1])
        unit, other = here.units[row], own.other[row, rank]
        what = f"{here.address}:{unit} {verb} {there.address}:{other} with norm {own.norm[row, rank]:g}"
        yield f"{what}, which {there.file} leaves out"
