"""The linear receptive field of every neuron in the input picture: its weights expanded to the pixels. Torch stops here.

From the input on, layer by layer: a layer's fields are its weights on the layers it reads, laid over theirs. A layer that reads
a whole map, or whose kernel depends on the position, is swept back to the input by itself. A field is that of a neuron in the
middle of a large enough picture: no border of a map touches it, except where a whole map is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import fx

from generator import field as f
from generator.analyses.composing import composed, padded_sum, path_norms, plain_norms
from generator.analyses.pixels import can_be_drawn, kept_share, pixels_of, window
from generator.errors import LayerError, RefusedError
from generator.expand import (
    Sweep,
    at_source,
    centre_of,
    collect,
    has_weights,
    leads_to,
    nearest_sources,
    nodes_between,
    operation_name,
    run_sweep,
    stop_nodes,
    swept,
    weights_into,
)
from generator.graph import Graph
from generator.records import Pixels, Replacement, Weights
from generator.sites import Site, is_activation

LIMIT = 64  # pixels either way of a field that is made unasked
HELD = 24 * 2**20  # floats: the fields of a layer are kept for those that read it up to here
MEAN_OF_A_MAP = "it reads the mean of a map, which has no position in the picture"


@dataclass(frozen=True)
class Reach:
    """How the neurons of one layer read the pixels: position y reads stride * y + offset + row of the picture."""

    kernel: np.ndarray  # float32 [unit, channel, row, col]
    grid: str  # 'sliding', or 'whole map': one kernel over the whole picture
    stride: tuple[float, float]
    offset: tuple[int, int]
    paths: np.ndarray  # float64 [unit]: sum of the norms of the paths through the neurons it reads; NaN where not known
    there: np.ndarray  # bool [unit]: False where a neuron of a concat has a field that is too large
    replaced: tuple[Replacement, ...]  # what was made linear on the way

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the picture that a neuron reads."""
        return self.kernel.shape[2], self.kernel.shape[3]


@dataclass(frozen=True)
class Missing:
    """Why a layer has no such fields."""

    reason: str
    large: bool = False  # only its size stands against it
    size: tuple[int, int] = (0, 0)  # rows, cols at least, where it is too large


Found = dict[Site, "Reach | Missing"]


def receptive_fields(graph: Graph, addresses: Sequence[str], limit: int | None) -> Iterator[tuple[str, Reach | Missing]]:
    """The linear receptive fields of some layers, in order of computation.

    Args:
        graph: of the model.
        addresses: of the layers.
        limit: pixels either way that a field may have; None for what fits into memory.
    """
    first, wanted = graph.sites[0], {graph.site(address) for address in addresses}
    sources = ancestry(graph, wanted - {first})
    found: Found = {first: of_the_input(first)}
    for site in graph.sites:
        if site not in sources:
            continue
        found[site] = reach_of(graph, site, sources[site], found, limit)
        if site in wanted:
            yield site.name, found[site]
        del sources[site]
        for done in found.keys() - {each for read in sources.values() for each in read}:
            del found[done]


def ancestry(graph: Graph, wanted: set[Site]) -> dict[Site, list[Site]]:
    """Some layers and all before them but the input, each with the nearest layers it reads."""
    sources: dict[Site, list[Site]] = {}
    queue = sorted(wanted, key=graph.sites.index)
    while queue:
        site = queue.pop()
        if site in sources or site is graph.sites[0]:
            continue
        sources[site] = nearest_sources(graph, site, [other for other in graph.sites if other is not site])
        queue += sources[site]
    return sources


def of_the_input(site: Site) -> Reach:
    """The picture's own channels: each reads itself."""
    count = site.neurons
    kernel = np.eye(count, dtype=np.float32)[:, :, None, None]
    return Reach(kernel, f.SLIDING, (1, 1), (0, 0), np.ones(count), np.ones(count, bool), ())


def reach_of(graph: Graph, site: Site, sources: Sequence[Site], found: Found, limit: int | None) -> Reach | Missing:
    """The fields of one layer from those of the layers it reads."""
    lacking = [source for source in sources if isinstance(found[source], Missing)]
    present = [source for source in sources if source not in lacking]
    if lacking and not (present and graph.kinds[site] == "concat" and all(found[each].large for each in lacking)):  # type: ignore[union-attr]
        return found[lacking[0]]
    try:
        read = weights_into(graph, site.name, [each.name for each in present], [each.name for each in lacking])
        parts = [laid_over(graph, site, weights, source, found, limit) for weights, source in zip(read, present, strict=True)]
        return joined(graph, site, parts, bool(lacking), limit)
    except (RefusedError, LayerError) as reason:
        return Missing(str(reason))


def laid_over(
    graph: Graph, site: Site, weights: Weights, source: Site, found: Found, limit: int | None
) -> Reach | Missing | None:
    """The paths through one source; None where they must be swept."""
    stop = next(node for node, each in stop_nodes(graph, site, [source], []).items() if each is source)
    lower = found[source]
    assert isinstance(lower, Reach)
    if not lower.there.all():
        return Missing(too_large(limit), True)
    if weights.grid == f.WHOLE and source is graph.sites[0] and stop is source.end:
        return Reach(
            weights.kernel, f.WHOLE, (1, 1), weights.offset, plain_norms(weights.kernel), touched(weights), weights.replaced
        )
    flat = len(source.shape) == 1
    if weights.grid == f.MEAN and not flat:
        return Missing(MEAN_OF_A_MAP)
    if weights.grid == f.WHOLE or not is_whole(weights.stride) or not is_whole(lower.stride):
        return None
    lower = lower if stop is source.end else behind(graph, source, stop, lower, limit)
    if isinstance(lower, Missing):
        return lower
    if not small(len(weights.kernel), lower.kernel.shape[1], size := size_over(weights.kernel, lower), limit):
        return Missing(too_large(limit), True, size)
    return over(graph, site, weights, source, lower)


def over(graph: Graph, site: Site, weights: Weights, source: Site, lower: Reach) -> Reach:
    """Weights laid over the fields of the layer they read."""
    steps = (int(lower.stride[0]), int(lower.stride[1]))
    bare = source is graph.sites[0] and lower.size == (1, 1)
    kernel = weights.kernel if bare else composed(weights.kernel, lower.kernel, steps)
    passes = not has_weights(graph, site.head) and weights.kernel.shape[2:] == (1, 1)
    if source is graph.sites[0]:
        paths = plain_norms(kernel)
    elif passes:  # a sum or a concat: the paths are those of the neurons it is made of
        paths = np.abs(weights.kernel[:, :, 0, 0]).astype(np.float64) @ lower.paths
    else:
        paths = path_norms(weights.kernel, lower.kernel, steps)
    return Reach(
        kernel,
        lower.grid,
        (steps[0] * weights.stride[0], steps[1] * weights.stride[1]),
        (steps[0] * weights.offset[0] + lower.offset[0], steps[1] * weights.offset[1] + lower.offset[1]),
        paths,
        touched(weights),
        (*lower.replaced, *ends_of(graph, source), *weights.replaced),
    )


def behind(graph: Graph, site: Site, node: fx.Node, reach: Reach, limit: int | None) -> Reach | Missing:
    """The fields of a layer's neurons at a tensor behind it: a pool's output."""
    shape = graph.traced.shapes[node]
    useful = leads_to(graph, nodes_between(graph, node, {site.end}) - {site.end}, {site.end})
    centre = (shape[1] // 2, shape[2] // 2) if site.axis == 0 else (shape[0] // 2, shape[1] // 2)
    start = f.one_hot(torch.arange(site.neurons), shape, site.axis, centre)
    found = run_sweep(graph, site, {node: start}, useful, {site.end})
    pulled = at_source(graph, site, found, {site.end: site})
    if pulled.grid != f.SLIDING or not is_whole(tuple(map(float, pulled.stride))):
        return Missing(MEAN_OF_A_MAP)
    stride = (int(pulled.stride[0]), int(pulled.stride[1]))
    offset = tuple(o - s * c for o, s, c in zip(pulled.offset, stride, centre, strict=True))
    steps = (int(reach.stride[0]), int(reach.stride[1]))
    upper = pulled.full.numpy()
    if not small(site.neurons, reach.kernel.shape[1], size := size_over(upper, reach), limit):
        return Missing(too_large(limit), True, size)
    kernel = composed(upper, reach.kernel, steps)
    return Reach(
        kernel,
        f.SLIDING,
        (steps[0] * stride[0], steps[1] * stride[1]),
        (steps[0] * offset[0] + reach.offset[0], steps[1] * offset[1] + reach.offset[1]),
        plain_norms(kernel),
        reach.there,
        (*reach.replaced, *stand_ins(graph, found)),
    )


def joined(
    graph: Graph, site: Site, parts: Sequence[Reach | Missing | None], partial: bool, limit: int | None
) -> Reach | Missing:
    """The sum of the paths through all sources; `partial` where those of some neurons of a concat are not among them."""
    missing = [part for part in parts if isinstance(part, Missing)]
    reaches = [part for part in parts if isinstance(part, Reach)]
    if missing:
        return missing[0]
    if len(reaches) < len(parts) or len({(part.grid, part.stride) for part in reaches}) != 1:
        return straight_back(graph, site, limit)
    kernel, offset = padded_sum([(part.kernel, part.offset) for part in reaches])
    if not small(len(kernel), kernel.shape[1], kernel.shape[2:], limit):
        return Missing(too_large(limit), True, kernel.shape[2:])
    there = np.any([part.there for part in reaches], axis=0) if partial else np.ones(len(kernel), bool)
    paths = np.sum([part.paths for part in reaches], axis=0)
    replaced = tuple(dict.fromkeys(each for part in reaches for each in part.replaced))
    return replace(reaches[0], kernel=kernel, offset=offset, paths=paths, there=there, replaced=replaced)


def straight_back(graph: Graph, site: Site, limit: int | None) -> Reach | Missing:
    """The fields of a layer swept back to the picture at once, for paths that cannot be laid over each other."""
    parts: list[Weights] = []
    for part in swept_parts(graph, site):
        parts.append(part)
        if part.grid == f.MEAN:
            return Missing(MEAN_OF_A_MAP)
        if not small(site.neurons, part.kernel.shape[1], part.kernel.shape[2:], limit):
            return Missing(too_large(limit), True, part.kernel.shape[2:])
    return reach_from(replace(parts[0], kernel=np.concatenate([part.kernel for part in parts])))


def swept_parts(graph: Graph, site: Site) -> Iterator[Weights]:
    """The weights of a layer on the picture, a few units at a time, in order.

    Raises:
        RefusedError: an operation on the way has no linear stand-in.
        LayerError: nothing leads there from the picture.
    """
    first = graph.sites[0]
    paths = nodes_between(graph, site.start, {first.end})
    if first.end not in paths:
        raise LayerError(f"nothing leads from '{first.name}' to '{site.name}'")
    useful = leads_to(graph, paths - {first.end}, {first.end})
    for part in swept(graph, site, useful, {first.end}):
        yield collect(graph, site, first, {first.end: first}, [part])


def size_over(upper: np.ndarray, lower: Reach) -> tuple[int, int]:
    """Rows and columns of kernels `[unit, input, row, col]` laid over the fields of a layer."""
    rows, cols = (
        (count - 1) * int(step) + size for count, step, size in zip(upper.shape[2:], lower.stride, lower.size, strict=True)
    )
    return rows, cols


def touched(weights: Weights) -> np.ndarray:
    """The units that read anything: bool `[unit]`."""
    return np.asarray(weights.kernel.any((1, 2, 3)))


def small(units: int, channels: int, size: Sequence[int], limit: int | None) -> bool:
    """Whether fields of this size are wanted, and may be held."""
    return max(size) <= limit if limit is not None else units * channels * size[0] * size[1] <= HELD


def is_whole(stride: Sequence[float]) -> bool:
    """Whether a stride is one of whole positions."""
    return all(step == int(step) and step >= 1 for step in stride)


def too_large(limit: int | None) -> str:
    """Why a field is not made."""
    return (
        "its receptive field is too large to be held" if limit is None else f"its receptive field is over {limit} pixels wide"
    )


def ends_of(graph: Graph, site: Site) -> tuple[Replacement, ...]:
    """A layer's own activations, which its readers read through."""
    nodes = [node for node in site.nodes[: site.nodes.index(site.end) + 1] if is_activation(graph.traced, node)]
    return tuple(Replacement(graph.traced.where(node), operation_name(graph, node), "identity") for node in nodes)


def stand_ins(graph: Graph, found: Sweep) -> tuple[Replacement, ...]:
    """What a sweep replaced."""
    return tuple(
        Replacement(graph.traced.where(node), operation_name(graph, node), by)
        for node, words in found.met.items()
        for by in words
    )


# -- pictures of them -----------------------------------------------------------------------------------------------------


def pixel_pictures(graph: Graph, addresses: Sequence[str], limit: int | None = LIMIT) -> Iterator[tuple[str, Pixels | str]]:
    """The receptive fields of some layers as pictures, in order of computation; why not, in one line, where there are none.

    A field of over `limit` pixels is not made; where `limit` is None it is, cut to the picture and drawn smaller. The layers of
    a model share their work: ask for all of them at once.
    """
    first = graph.sites[0]
    if len(first.shape) != 3 or not can_be_drawn(first.neurons):
        reason = f"the input has {first.neurons} channels, which have no colours to show them in"
        yield from ((address, reason) for address in addresses if graph.site(address) is not first)
        return
    for address, reach in receptive_fields(graph, addresses, limit):
        site = graph.site(address)
        if isinstance(reach, Reach) and (limit is not None or reach.there.all()):
            yield address, picture_of(graph, site, reach, too_large(limit))
        elif limit is None and (isinstance(reach, Reach) or reach.large):
            yield address, large_picture(graph, site)
        else:
            assert isinstance(reach, Missing)
            yield address, reach.reason


def picture_of(graph: Graph, site: Site, reach: Reach, absent: str) -> Pixels:
    """The fields of one layer as pictures."""
    kernel, place = window(reach.kernel, corner(site, reach), picture_size(graph))
    kept = kept_share(reach.kernel, reach.paths)
    return pixels_of(kernel, reach.size, place, reach.stride, kept, reach.there, absent, reach.replaced)


def large_picture(graph: Graph, site: Site) -> Pixels | str:
    """As `picture_of`, for fields too large to be held: a few neurons at a time, their paths not counted."""
    parts: list[Pixels] = []
    try:
        for part in swept_parts(graph, site):
            if part.grid == f.MEAN:
                return MEAN_OF_A_MAP
            parts.append(picture_of(graph, site, reach_from(part), ""))
    except (RefusedError, LayerError) as reason:
        return str(reason)
    return replace(
        parts[0],
        pixels=np.concatenate([part.pixels for part in parts]),
        there=np.concatenate([part.there for part in parts]),
        limit=np.concatenate([part.limit for part in parts]),
        kept=np.concatenate([part.kept for part in parts]),
        notes=tuple(note for part in parts for note in part.notes),
    )


def reach_from(weights: Weights) -> Reach:
    """Weights on the picture itself as fields."""
    units = len(weights.kernel)
    unknown, there = np.full(units, np.nan), np.ones(units, bool)
    return Reach(weights.kernel, weights.grid, weights.stride, weights.offset, unknown, there, weights.replaced)


def corner(site: Site, reach: Reach) -> tuple[int, int]:
    """Row and column of the picture at which the field of the neuron in the middle of its map begins."""
    if reach.grid == f.WHOLE:
        return reach.offset
    row, col = (int(step * place // 1) for step, place in zip(reach.stride, centre_of(site), strict=True))
    return row + reach.offset[0], col + reach.offset[1]


def picture_size(graph: Graph) -> tuple[int, int]:
    """Rows and columns of the input picture."""
    rest = [size for axis, size in enumerate(graph.sites[0].shape) if axis != graph.sites[0].axis]
    return rest[0], rest[1]
