"""How much of an expanded weight cancels between the paths that make it up.

Paths are counted through the neurons of the layer between: those that the target's own kernels read. Beside the expanded
kernel K = sum over paths stands ||K|| / sum over paths ||path||: 1 where all paths agree, near 0 where they cancel (as they
do for the boundary detector of Voss et al., Distill 2021).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, fx

from generator import field as f
from generator.expand import Sweep, centre_of, has_weights, leads_to, nodes_between, pull, run_sweep, stop_nodes
from generator.field import Field
from generator.graph import Graph
from generator.records import Weights
from generator.sites import Site

FLOATS_AT_ONCE = 16 * 2**20


@dataclass(frozen=True)
class Half:
    """The paths from the target to the layer between, or from there to the source: `[unit, input, row, col]`."""

    values: Tensor
    stride: tuple[int, int]  # positions of the source's map per position of the layer between


def with_cancellation(graph: Graph, found: Sequence[Weights], blocked: Iterable[str] = ()) -> list[Weights]:
    """The same weights with the cancellation of every expanded connection: ||sum of paths|| / sum of ||path||.

    Args:
        graph: of the model.
        found: what one call of `weights_into` gave, all of it.
        blocked: the layers that call was told to avoid.

    Returns:
        Weights whose `cancellation` is float32 `[unit, input]`, 0..1, NaN where a pair has no path of any weight; None for
        direct weights, and where the kernel is that of a whole map.
    """
    if all(weights.direct for weights in found):
        return list(found)
    target, sources = graph.site(found[0].target), [graph.site(weights.source) for weights in found]
    stops = stop_nodes(graph, target, sources, [graph.site(address) for address in blocked])
    return [weights if weights.direct else cancelled(graph, target, weights, stops) for weights in found]


def cancelled(graph: Graph, target: Site, weights: Weights, stops: dict[fx.Node, Site]) -> Weights:
    """One pair with its cancellation."""
    if weights.grid == f.WHOLE:
        return weights
    stop = next(node for node, site in stops.items() if site.name == weights.source)
    ends = set(stops)
    useful = leads_to(graph, nodes_between(graph, target.start, ends) - ends, {stop})
    total = torch.zeros(weights.kernel.shape[:2], dtype=torch.float64)
    for node, upper in first_halves(graph, target, useful, stop):
        total += path_norms(upper, lower_half(graph, target, node, upper, ends, stop))
    norms = torch.from_numpy(weights.kernel).double().flatten(2).norm(dim=2)
    return replace(weights, cancellation=(norms / total).clamp(max=1).float().numpy())


def first_halves(graph: Graph, target: Site, useful: list[fx.Node], stop: fx.Node) -> list[tuple[fx.Node, Field]]:
    """Where the target's own kernels read, with the field there for each of those kernels apart; the stop itself if met."""
    units = torch.arange(target.neurons)
    fields = {target.start: [f.one_hot(units, target.shape, target.axis, centre_of(target))]}
    found: list[tuple[fx.Node, Field]] = []
    allowed = set(useful)
    with torch.no_grad():
        for node in useful:
            for over in fields.pop(node, []):
                if node is stop:
                    found.append((node, over.dense()))
                    continue
                for parent, pulled in pull(graph, target, node, over, Sweep()):
                    if parent in allowed and has_weights(graph, node):
                        found.append((parent, pulled.dense()))
                    elif parent in allowed:
                        fields.setdefault(parent, []).append(pulled)
    return found


def lower_half(graph: Graph, target: Site, node: fx.Node, upper: Field, stops: set[fx.Node], stop: fx.Node) -> Half | None:
    """The kernels from the source to every channel of the layer between; None where that is the source itself."""
    if node is stop:
        return None
    shape = graph.traced.shapes[node]
    axis = next(a for a in range(len(shape)) if a + 1 not in (upper.row, upper.col))
    useful = leads_to(graph, nodes_between(graph, node, stops) - stops, {stop})
    centre = (shape[1] // 2, shape[2] // 2) if len(shape) == 3 and axis == 0 else (0, 0)
    start = f.one_hot(torch.arange(shape[axis]), shape, axis, centre)
    start = replace(start, grid=f.MEAN, offset=(0, 0)) if upper.grid == f.MEAN else start
    over = run_sweep(graph, target, {node: start}, useful, {stop}).stopped[stop].dense()
    return Half(as_kernel(over), (max(int(over.stride[0]), 1), max(int(over.stride[1]), 1)))


def as_kernel(over: Field) -> Tensor:
    """A field's values as `[unit, channel, row, col]`."""
    values = over.full
    if over.row is None or over.col is None:
        return values.reshape(values.shape[0], -1, 1, 1)
    channel = next(axis for axis in range(1, values.ndim) if axis not in (over.row, over.col))
    return values.permute(0, channel, over.row, over.col)


def path_norms(upper: Field, lower: Half | None) -> Tensor:
    """Sum over the layer between of ||path||, float64 `[unit, input]`.

    A path's kernel is the convolution of its two halves, and the squared norm of a convolution is the inner product of the
    halves' autocorrelations: no path is ever written out.
    """
    first = as_kernel(upper).double()
    if lower is None:
        return first.flatten(2).norm(dim=2)
    second = lower.values.double()
    if first.shape[2:] == (1, 1) or second.shape[2:] == (1, 1):
        return first.flatten(2).norm(dim=2) @ second.flatten(2).norm(dim=2)
    ours, theirs = correlations(first), correlations(second)
    ours, theirs = shared_lags(ours, theirs, lower.stride)
    return sum_of_roots(ours.flatten(2), theirs.flatten(2))


def correlations(kernel: Tensor) -> Tensor:
    """Autocorrelation of every kernel over all shifts, `[unit, input, 2 row - 1, 2 col - 1]`, by its power spectrum."""
    size = [2 * length - 1 for length in kernel.shape[2:]]
    power = torch.fft.rfft2(kernel, s=size).abs().square()
    return torch.fft.fftshift(torch.fft.irfft2(power, s=size), dim=(2, 3))


def shared_lags(ours: Tensor, theirs: Tensor, stride: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Both autocorrelations at the shifts both have; a shift of ours is `stride` of theirs."""
    for axis, step in zip((2, 3), stride, strict=True):
        own, other = ours.shape[axis] // 2, theirs.shape[axis] // 2
        reach = min(own, other // step)
        shifts = torch.arange(-reach, reach + 1)
        ours, theirs = ours.index_select(axis, shifts + own), theirs.index_select(axis, shifts * step + other)
    return ours, theirs


def sum_of_roots(ours: Tensor, theirs: Tensor) -> Tensor:
    """Sum over j of sqrt(ours[u, j, :] . theirs[j, i, :]), float64 `[unit, input]`, a few units at a time."""
    at_once = max(1, FLOATS_AT_ONCE // (ours.shape[1] * theirs.shape[1]))
    kernels = theirs.permute(0, 2, 1)  # [between, lag, input]
    parts = []
    for chunk in ours.split(at_once):
        squares = torch.bmm(chunk.permute(1, 0, 2), kernels)  # [between, unit, input]
        parts.append(squares.clamp_(min=0).sqrt_().sum(0))
    return torch.cat(parts)
