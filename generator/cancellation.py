"""How much of an expanded weight cancels between the paths that make it up.

Paths are counted through the neurons of the layer between: those that the target's own kernels read. Beside the expanded
kernel K = sum over paths stands ||K|| / sum over paths ||path||: 1 where all paths agree, near 0 where they cancel (as they
do for the boundary detector of Voss et al., Distill 2021).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, fx

from generator import field as f
from generator.expand import (
    FLOATS_AT_ONCE,
    TRIAL,
    Sweep,
    centre_of,
    has_weights,
    leads_to,
    nodes_between,
    pull,
    run_sweep,
    stop_nodes,
)
from generator.field import Field
from generator.graph import Graph
from generator.records import Weights
from generator.sites import Site

ROOTS_AT_ONCE = 2**20  # squared norms of paths that are held at once,
UNITS_AT_ONCE = 64  # of so many units
ROWS_AT_ONCE = 512  # units whose paths are added up at once
NORMED_AT_ONCE = 2**18  # weights whose squares are


@dataclass(frozen=True)
class Half:
    """The paths from the target to the layer between, or from there to the source: `[unit, input, row, col]`."""

    values: Tensor
    stride: tuple[int, int]  # positions of the source's map per position of the layer between


def with_cancellation(
    graph: Graph, found: Sequence[Weights], blocked: Iterable[str] = (), units: Sequence[int] = ()
) -> list[Weights]:
    """The same weights with the cancellation of every expanded connection: ||sum of paths|| / sum of ||path||.

    Args:
        graph: of the model.
        found: what one call of `weights_into` gave, all of it.
        blocked: the layers that call was told to avoid.
        units: those it was asked for; all unless given.

    Returns:
        Weights whose `cancellation` is float32 `[unit, input]`, 0..1, NaN where a pair has no path of any weight; None for
        direct weights, and where the kernel is that of a whole map.
    """
    target = graph.site(found[0].target) if found else None
    asked = [weights.source for weights in found if not weights.direct and weights.grid != f.WHOLE]
    if target is None or not asked:
        return list(found)
    stops = stop_nodes(graph, target, [graph.site(weights.source) for weights in found], [graph.site(b) for b in blocked])
    ends = {node: stops[node].name for node in stops if stops[node].name in asked}
    totals = {name: np.zeros(weights.kernel.shape[:2]) for weights in found if (name := weights.source) in asked}
    useful = leads_to(graph, nodes_between(graph, target.start, set(stops)) - set(stops), set(ends))
    for node, upper in first_halves(graph, target, useful, set(ends), units):
        add_paths(graph, target, node, upper, set(stops), ends, totals)
    return [
        replace(weights, cancellation=share_left(weights.kernel, totals[weights.source]))
        if weights.source in asked
        else weights
        for weights in found
    ]


def share_left(kernel: np.ndarray, total: np.ndarray) -> np.ndarray:
    """The norm of every kernel over the summed norms of its paths, float32 `[unit, input]`."""
    left = np.empty(total.shape, np.float32)
    parts = (torch.from_numpy(each).split(UNITS_AT_ONCE) for each in (kernel, total, left))
    for weights, summed, share in zip(*parts, strict=True):
        share.copy_((kernel_norms(weights) / summed).clamp_(max=1))
    return left


def kernel_norms(kernel: Tensor) -> Tensor:
    """L2 norm of every kernel of `[unit, input, row, col]`, float64 `[unit, input]`, without a copy of all kernels."""
    flat = kernel.flatten(2)
    norms, ones = flat.new_empty(flat.shape[:2], dtype=torch.float64), flat.new_ones(flat.shape[2], dtype=torch.float64)
    at_once = max(1, NORMED_AT_ONCE // max(flat[:1].numel(), 1))
    for part, found in zip(flat.split(at_once), norms.split(at_once), strict=True):
        torch.matmul(part.double().square_(), ones, out=found)
    return norms.sqrt_()


def add_paths(
    graph: Graph,
    target: Site,
    node: fx.Node,
    upper: Field,
    stops: set[fx.Node],
    ends: dict[fx.Node, str],
    totals: dict[str, np.ndarray],
) -> None:
    """Add the norms of the paths through the neurons of one tensor that the target's own kernels read, for every source."""
    first = as_kernel(upper)
    norms = kernel_norms(first)
    rows = (norms != 0).any(1).nonzero()[:, 0]  # of a concat only the units of one branch
    if node in ends:
        torch.from_numpy(totals[ends[node]]).add_(norms)
        return
    for channels, lower in lower_halves(graph, target, node, upper, stops, set(ends)):
        for end, over in lower.items():
            total, alone = torch.from_numpy(totals[ends[end]]), single_reads(over)
            if alone is None:
                add_norms(total, rows, first[:, channels], norms[:, channels], half(over))
            else:
                add_columns(total, alone[0], norms[:, channels] * alone[1].double().abs())


def add_norms(total: Tensor, rows: Tensor, first: Tensor, norms: Tensor, lower: Half) -> None:
    """Add the norms of the paths to some rows of `total`, a part of them at a time.

    Where one half of a path has one position, the norm of the path is the product of those of its halves.
    """
    second = lower.values
    plain = kernel_norms(second) if first.shape[2:] == (1, 1) or second.shape[2:] == (1, 1) else None
    for part in rows.split(ROWS_AT_ONCE):
        total[part] += path_norms(first[part], lower) if plain is None else norms[part] @ plain


def single_reads(over: Field) -> tuple[Tensor, Tensor] | None:
    """The one neuron that each channel reads, at one position, and its weight; None where some read more."""
    if over.hot is not None and over.scale is not None:
        return over.hot, over.scale
    values = as_kernel(over)
    if values.shape[2:] != (1, 1):
        return None
    flat = values.flatten(1)
    if int((flat != 0).sum(1).max()) > 1:
        return None
    place = flat.abs().argmax(1)
    return place, flat.gather(1, place[:, None])[:, 0]


def add_columns(total: Tensor, place: Tensor, columns: Tensor) -> None:
    """Add columns to those of `total` at `place`."""
    first, count = int(place[0]), len(place)
    if first + count <= total.shape[1] and bool((place == torch.arange(first, first + count)).all()):
        total[:, first : first + count] += columns
    else:
        total.index_add_(1, place, columns)


def first_halves(
    graph: Graph, target: Site, useful: list[fx.Node], stops: set[fx.Node], asked: Sequence[int] = ()
) -> list[tuple[fx.Node, Field]]:
    """Where the target's own kernels read, with the field there for each of those kernels apart; the stops if met."""
    units = torch.tensor(asked) if len(asked) else torch.arange(target.neurons)
    fields = {target.start: [f.one_hot(units, target.shape, target.axis, centre_of(target))]}
    found: list[tuple[fx.Node, Field]] = []
    allowed = set(useful)
    with torch.no_grad():
        for node in useful:
            for over in fields.pop(node, []):
                if node in stops:
                    found.append((node, over.dense()))
                    continue
                for parent, pulled in pull(graph, target, node, over, Sweep()):
                    if parent in allowed and has_weights(graph, node):
                        found.append((parent, pulled.dense()))
                    elif parent in allowed:
                        fields.setdefault(parent, []).append(pulled)
    return found


def lower_halves(
    graph: Graph, target: Site, node: fx.Node, upper: Field, stops: set[fx.Node], ends: set[fx.Node]
) -> Iterator[tuple[slice, dict[fx.Node, Field]]]:
    """The kernels from every source to the channels of the layer between, some channels at a time."""
    shape = graph.traced.shapes[node]
    axis = next(a for a in range(len(shape)) if a + 1 not in (upper.row, upper.col))
    useful = leads_to(graph, nodes_between(graph, node, stops) - stops, ends)
    centre = (shape[1] // 2, shape[2] // 2) if len(shape) == 3 and axis == 0 else (0, 0)
    done, at_once = 0, TRIAL
    while done < shape[axis]:
        units = torch.arange(done, min(done + at_once, shape[axis]))
        start = f.one_hot(units, shape, axis, centre)
        start = replace(start, grid=f.MEAN, offset=(0, 0)) if upper.grid == f.MEAN else start
        found = run_sweep(graph, target, {node: start}, useful, ends)
        yield slice(done, done + len(units)), found.stopped
        done += len(units)
        at_once = max(1, FLOATS_AT_ONCE * len(units) // max(found.widest, 1))


def half(over: Field) -> Half:
    """A field as the half of a path."""
    return Half(as_kernel(over), (max(int(over.stride[0]), 1), max(int(over.stride[1]), 1)))


def as_kernel(over: Field) -> Tensor:
    """A field's values as `[unit, channel, row, col]`."""
    values = over.full
    if over.row is None or over.col is None:
        return values.reshape(values.shape[0], -1, 1, 1)
    channel = next(axis for axis in range(1, values.ndim) if axis not in (over.row, over.col))
    return values.permute(0, channel, over.row, over.col)


def path_norms(first: Tensor, lower: Half) -> Tensor:
    """Sum over channels of the layer between of ||path||, float64 `[unit, input]`.

    A path's kernel is the convolution of its two halves, and the squared norm of a convolution is the inner product of the
    halves' autocorrelations: no path is ever written out.
    """
    second = lower.values
    lags = shared_lags(first, second, lower.stride)
    ours = correlations(first, lags)
    ours[1:] *= 2  # each stands for the opposite shift too
    return sum_of_roots(ours, correlations(second, [(y * lower.stride[0], x * lower.stride[1]) for y, x in lags]))


def shared_lags(first: Tensor, second: Tensor, stride: tuple[int, int]) -> list[tuple[int, int]]:
    """The shifts (rows, cols) of the first kernel that both have, one of every two opposite ones, none at all first.

    A shift of the first kernel is `stride` of the second.
    """
    sizes = zip(first.shape[2:], second.shape[2:], stride, strict=True)
    rows, cols = (min(own - 1, (other - 1) // step) for own, other, step in sizes)
    return [(y, x) for y in range(rows + 1) for x in range(-cols if y else 0, cols + 1)]


def correlations(kernel: Tensor, lags: Sequence[tuple[int, int]]) -> Tensor:
    """Autocorrelation of every kernel of `[unit, input, row, col]` at some shifts, float64 `[lag, unit, input]`."""
    found = torch.empty(len(lags), *kernel.shape[:2], dtype=torch.float64)
    at_once = max(1, NORMED_AT_ONCE // max(kernel[:1].numel(), 1))
    for part, place in zip(kernel.split(at_once), found.split(at_once, 1), strict=True):
        wide = part.permute(2, 3, 0, 1).double().contiguous()
        rows, cols = wide.shape[:2]
        for over, (y, x) in zip(place, lags, strict=True):
            one = wide[: rows - y, max(0, -x) : cols - max(0, x)]
            torch.sum(one * wide[y:, max(0, x) : cols - max(0, -x)], (0, 1), out=over)
    return found


def sum_of_roots(ours: Tensor, theirs: Tensor) -> Tensor:
    """Sum over j of sqrt(ours[:, u, j] . theirs[:, j, i]), float64 `[unit, input]`, a few units and j at a time.

    In float32, each unit's and each input's numbers brought to one size first: the convolution of two kernels never vanishes,
    so that the roots are good to a few parts in a million.
    """
    sizes, lower_sizes = size_over(ours, (0, 2)), size_over(theirs, (0, 1))
    ours = (ours / sizes).float().permute(2, 1, 0).contiguous()  # [between, unit, lag]
    theirs = (theirs / lower_sizes).float().permute(1, 0, 2).contiguous()  # [between, lag, input]
    sums = torch.zeros(ours.shape[1], theirs.shape[2], dtype=torch.float64)
    at_once = max(1, ROOTS_AT_ONCE // (UNITS_AT_ONCE * theirs.shape[2]))
    for upper, lower in zip(ours.split(at_once), theirs.split(at_once), strict=True):
        for units, total in zip(upper.split(UNITS_AT_ONCE, 1), sums.split(UNITS_AT_ONCE), strict=True):
            total += torch.bmm(units, lower).clamp_(min=0).sqrt_().sum(0)
    return sums * (sizes[0] * lower_sizes[0]).sqrt_()


def size_over(values: Tensor, axes: tuple[int, int]) -> Tensor:
    """The largest absolute value along two axes, which are kept; 1 where all are zero."""
    largest = values.abs().amax(axes, keepdim=True)
    return torch.where(largest == 0, 1.0, largest)
