"""Small multiples: the kernels between two groups of neurons as rows by columns of little pictures, each a link."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from generator.analyses.connections import sign_word, strengths
from generator.pages import wording
from generator.pages.views import ROW_SIZE, LayerView, face_style, place, scale_to
from generator.pictures import data_uri
from generator.records import Weights
from generator.sheets import kernel_strip, symmetric_limit

CELL_SIZE = 36  # CSS pixels of a kernel and of a face beside it


IN_HEAD = " th>*::before"  # the tile of a face at the head of a row or a column


class MultiplesRow(NamedTuple):
    """What one neuron reads of each of the others."""

    head: Markup
    cells: tuple[Markup, ...]  # its kernels, each a link to the neuron


@dataclass(frozen=True)
class Multiples:
    """Kernels between two groups of neurons: a row for each that reads, a column for each that is read."""

    name: str  # id of its element
    reader: str  # address of the layer of the rows
    source: str  # address of the layer of the columns
    row_css: str  # class whose rule shows the faces of the rows
    column_css: str
    columns: tuple[Markup, ...]
    rows: tuple[MultiplesRow, ...]
    scale: str  # size of the kernels, and what their colours stand for
    style: Markup  # the rule that shows its kernels


class Face(NamedTuple):
    """How a page shows the faces of one layer."""

    view: LayerView
    prefix: str  # leads from the page to the model's folder
    css: str

    def link(self, unit: int, named: bool = False) -> Markup:
        """A neuron's face and name, a link where it has a page; with its families where that is asked for."""
        style, tail = place(self.view.grid, unit), (self.view.named if named else self.view.tails)[unit]
        if unit not in self.view.chosen:
            return Markup("<span{}>{}").format(style, tail)
        return Markup('<a href="{}"{}>{}').format(self.prefix + self.view.page(unit), style, tail)

    def style(self, size: float, tile: str = IN_HEAD) -> Markup:
        """The rule that cuts these faces from their layer's sprite."""
        return face_style(self.css, self.view, f"{self.prefix}{self.view.folder}/", (size,), tile, size > ROW_SIZE)


def multiples(
    name: str,
    weights: Weights,
    scaled: bool,
    units: Sequence[int],
    inputs: Sequence[int],
    faces: tuple[Face, Face],
    told: float = 1.0,
    size: float = CELL_SIZE,
) -> Multiples:
    """The kernels with which `units` of the target read `inputs` of the source, in that order; `faces` of target and source.

    scaled: times the source's own batch-norm scale, where it has one; told: the share of the kernels whose colours tell all of
    their weights apart, so that one large weight does not leave all others pale; size: about that of a kernel, in CSS pixels.
    """
    kernels = weights.kernel[np.ix_(list(units), list(inputs))]
    if scaled and weights.source_scale is not None:
        kernels = kernels * np.abs(weights.source_scale[list(inputs)])[:, None, None]
    limit = limit_of_most(kernels, told)
    beyond = " and beyond" if limit < symmetric_limit(kernels) else ""
    reader, source = faces
    return Multiples(
        name=name,
        reader=weights.target,
        source=weights.source,
        row_css=reader.css,
        column_css=source.css,
        columns=tuple(map(source.link, inputs)),
        rows=tuple(_rows(weights, kernels, units, inputs, reader)),
        scale=wording.sentence(f"{wording.kernel_line(weights)}, {wording.colour_limits(limit)}{beyond}"),
        style=_kernel_rule(name, kernels, limit, size),
    )


def limit_of_most(kernels: np.ndarray, share: float) -> float:
    """The magnitude that no finite weight exceeds in this share of the kernels `[row, column, row, col]` that are not zero."""
    peaks = np.abs(np.where(np.isfinite(kernels), kernels, 0.0)).max((2, 3), initial=0.0)
    peaks = peaks[peaks > 0]
    return float(np.quantile(peaks, share, method="higher")) if peaks.size else 0.0


def _rows(
    weights: Weights, kernels: np.ndarray, units: Sequence[int], inputs: Sequence[int], reader: Face
) -> Iterator[MultiplesRow]:
    """A row for each neuron that reads; `kernels` `[row, column, row, col]` lie in the strip in this order."""
    norms = strengths(kernels).tolist()
    positive, negative = np.maximum(kernels, 0).sum((2, 3)).tolist(), np.minimum(kernels, 0).sum((2, 3)).tolist()
    place = 0
    for row, unit in enumerate(units):
        linked = unit in reader.view.chosen
        opening = f"<a href={reader.prefix}{reader.view.page(unit)} style=--k:" if linked else "<span style=--k:"
        closing = "</a>" if linked else "</span>"  # its row's head leads to the neuron too, so tabbing passes it over
        mute, cells = " tabindex=-1" if linked else "", []
        for column, source in enumerate(inputs):
            word = sign_word(positive[row][column], negative[row][column])
            said = f"{unit} reads {source}, norm {wording.plain(norms[row][column])}, {word}"
            cells.append(Markup(f'{opening}{place} title="{said}"{mute}>{source}{closing}'))
            place += 1
        yield MultiplesRow(reader.link(unit), tuple(cells))


def _kernel_rule(name: str, kernels: np.ndarray, limit: float, target: float) -> Markup:
    """The rule that shows the kernels `[row, column, row, col]` of one table, as one strip inside the page."""
    rows, cols = kernels.shape[2:]
    uri = data_uri(kernel_strip(kernels.reshape(-1, rows, cols), limit))
    size = f"--kr:{rows};--kc:{cols};--ks:{scale_to(target, rows, cols):g}"
    return Markup(f'#{name}{{{size}}}#{name} td>*{{background-image:url("{uri}")}}')
