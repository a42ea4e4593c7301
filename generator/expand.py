"""The weights between two layers: one sweep back from the target through the linear stand-ins. Torch stops here.

For a convolution that reads its source directly the sweep gives back its own weights, times its batch norm. Bottlenecks,
depthwise-separable pairs, branches through a pool and residual streams come out of the same sweep (Voss et al., Distill 2021,
"Visualizing Weights": expanded weights).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import torch
from torch import fx

from generator import field as f
from generator.errors import LayerError, RefusedError
from generator.field import Field
from generator.graph import Graph, own_heads, source_scale
from generator.linear import Nonlinear, Step, find_rule
from generator.records import Replacement, Weights
from generator.sites import PLAIN, RESHAPES, Site, is_activation, is_norm
from generator.trace import parents

FLOATS_AT_ONCE = 4 * 2**20  # that the fields of one chunk of units hold together: 16 MB, which memory gives again and again
TRIAL = 8  # units of the chunk that shows how many floats a unit takes


@dataclass
class Sweep:
    """What one sweep found: the fields at the tensors where it stopped, and what it met on the way."""

    stopped: dict[fx.Node, Field] = field(default_factory=dict)
    met: dict[fx.Node, tuple[str, ...]] = field(default_factory=dict)  # operation -> what stood in for it ('' if linear)
    widest: int = 0  # floats that its fields held together at the widest


def weights_between(graph: Graph, source: str, target: str, blocked: Iterable[str] = ()) -> Weights:
    """How each neuron of the target layer reads each neuron of the source layer, over all paths that avoid `blocked` layers.

    Args:
        graph: of the model.
        source: address of the layer that is read.
        target: address of the layer that reads.
        blocked: addresses of layers that paths may not pass through.

    Returns:
        Weights, kernel float32 `[unit, input, row, col]`.

    Raises:
        LayerError: no such layer, or no path.
        RefusedError: an operation on the way has no linear stand-in; names the module.
    """
    stops = [graph.site(address) for address in blocked]
    return weights_into(graph, target, [source], [site.name for site in stops])[0]


def weights_into(
    graph: Graph, target: str, sources: Sequence[str], blocked: Iterable[str] = (), units: Sequence[int] = ()
) -> list[Weights]:
    """The weights from several sources to one target in one sweep; each source also blocks the paths of the others.

    units: the neurons of the target that are asked for, in order; all of them unless given.

    Raises:
        LayerError, RefusedError: as `weights_between`.
    """
    reader, read = graph.site(target), [graph.site(source) for source in sources]
    stops = stop_nodes(graph, reader, read, [graph.site(address) for address in blocked])
    paths = nodes_between(graph, reader.start, set(stops))
    for site in read:
        if not any(stops.get(node) is site for node in paths):
            raise LayerError(f"nothing leads from '{site.name}' to '{reader.name}' but through other chosen layers")
    wanted = {node for node in paths if stops.get(node) in read}
    useful = leads_to(graph, paths - set(stops), wanted)
    sweeps = swept(graph, reader, useful, wanted, units)
    first, count = next(sweeps), len(units) or reader.neurons
    kernels = {site: Kernel(at_source(graph, site, first, stops).full, count) for site in read}
    for part in sweeps:
        for site in read:
            kernels[site].add(at_source(graph, site, part, stops).full)
        del part  # not to be held while the next is made
    return [record(graph, reader, site, stops, first, kernels[site].whole) for site in read]


class Kernel:
    """A kernel `[unit, input, row, col]` put together a few units at a time, without a second copy of it."""

    def __init__(self, first: torch.Tensor, units: int) -> None:
        """Begin with the first units of how many."""
        self.filled = 0
        self.whole = np.empty((units, *first.shape[1:]), np.float32)
        self.add(first)

    def add(self, part: torch.Tensor) -> None:
        """The next units."""
        torch.from_numpy(self.whole[self.filled : self.filled + len(part)]).copy_(part)
        self.filled += len(part)


def swept(
    graph: Graph, target: Site, useful: Sequence[fx.Node], wanted: set[fx.Node], asked: Sequence[int] = ()
) -> Iterator[Sweep]:
    """Sweeps of all units of the target, or of those asked for, in order, as many at a time as memory holds.

    Raises:
        RefusedError: an operation on the way has no linear stand-in.
    """
    units = torch.tensor(asked) if len(asked) else torch.arange(target.neurons)
    first = sweep(graph, target, units[:TRIAL], useful, wanted)
    at_once = max(1, FLOATS_AT_ONCE * len(units[:TRIAL]) // max(first.widest, 1))
    yield first
    del first
    for chunk in units[TRIAL:].split(at_once) if len(units) > TRIAL else ():
        yield sweep(graph, target, chunk, useful, wanted)


def stop_nodes(graph: Graph, target: Site, sources: Sequence[Site], blocked: Sequence[Site]) -> dict[fx.Node, Site]:
    """The tensor at which a sweep stops, for every layer it should stop at: as near the target as one tensor can be.

    A pool behind the source is read at its output where every path goes through it; else the source's own map is read.
    """
    stops: dict[fx.Node, Site] = {}
    for site in dict.fromkeys([*sources, *blocked]):
        if site is target:
            continue
        met = nodes_between(graph, target.start, site.carriers) & site.carriers
        stops |= dict.fromkeys({common_carrier(graph, site, met)} if len(met) > 1 else met, site)
    return stops


def common_carrier(graph: Graph, site: Site, met: set[fx.Node]) -> fx.Node:
    """The last carrier that all of several carriers descend from."""
    lines = []
    for node in met:
        line = [node]
        while line[-1] is not site.end:
            line.append(next(p for p in graph.open_paths[line[-1]] if p in site.carriers))
        lines.append(line[::-1])
    shared = site.end
    for step in zip(*lines, strict=False):
        if len(set(step)) > 1:
            break
        shared = step[0]
    return shared


def nodes_between(graph: Graph, start: fx.Node, stops: Collection[fx.Node]) -> set[fx.Node]:
    """All tensors that a walk back from a tensor meets, the stops included but nothing behind them."""
    seen, queue = {start}, [start]
    while queue:
        node = queue.pop()
        if node in stops:
            continue
        fresh = [parent for parent in graph.open_paths[node] if parent not in seen]
        seen.update(fresh)
        queue += fresh
    return seen


def leads_to(graph: Graph, paths: set[fx.Node], wanted: set[fx.Node]) -> list[fx.Node]:
    """The tensors on a path between the wanted stops and the target, last computed first."""
    useful = set(wanted)
    for node in graph.traced.nodes:
        if node in paths and any(parent in useful for parent in graph.open_paths[node]):
            useful.add(node)
    return [node for node in reversed(graph.traced.nodes) if node in useful]


def sweep(graph: Graph, target: Site, units: torch.Tensor, useful: Sequence[fx.Node], wanted: set[fx.Node]) -> Sweep:
    """Pull the one-hot fields of some units of the target back to the wanted tensors.

    Raises:
        RefusedError: an operation on the way has no linear stand-in.
    """
    start = f.one_hot(units, target.shape, target.axis, centre_of(target))
    return run_sweep(graph, target, {target.start: start}, useful, wanted)


def centre_of(site: Site) -> tuple[int, int]:
    """The centre position of a layer's map; (0, 0) without a map."""
    rest = [size for axis, size in enumerate(site.shape) if axis != site.axis]
    return (rest[0] // 2, rest[1] // 2) if rest else (0, 0)


def run_sweep(
    graph: Graph, target: Site, fields: dict[fx.Node, Field], useful: Sequence[fx.Node], wanted: set[fx.Node]
) -> Sweep:
    """Pull fields back, operation by operation, from the last computed to the first, until the wanted tensors."""
    found, allowed = Sweep(), set(useful)
    with torch.no_grad():
        for node in useful:
            if node not in fields:
                continue
            if node in wanted:
                found.stopped[node] = fields.pop(node)
                continue
            for parent, pulled in pull(graph, target, node, fields.pop(node), found):
                if parent in allowed:
                    fields[parent] = join(graph, target, parent, fields.get(parent), pulled)
            found.widest = max(found.widest, held(fields.values()) + held(found.stopped.values()))
    return found


def held(fields: Iterable[Field]) -> int:
    """Floats that fields hold together."""
    return sum(over.values.numel() for over in fields if over.values is not None)


def join(graph: Graph, target: Site, node: fx.Node, before: Field | None, more: Field) -> Field:
    """The sum of paths that meet at a tensor."""
    if before is None:
        return more
    try:
        return f.add(before, more)
    except ValueError as reason:
        raise RefusedError(f"{graph.traced.where(node)}: {reason} of '{target.name}'; choose layers between the two") from None


def pull(graph: Graph, target: Site, node: fx.Node, over: Field, found: Sweep) -> list[tuple[fx.Node, Field]]:
    """One operation, pulled back.

    Raises:
        RefusedError: it has no linear stand-in.
    """
    traced, module = graph.traced, graph.traced.submodule(node)
    name = traced.operation(node)
    rule = find_rule(node, module)
    shapes = [traced.shapes[n] for n in (node, *parents(traced, node))]
    replaced: list[str] = []
    step = Step(node, module, name, traced.shapes, traced.live, traced.constant, traced.opening, replaced)
    try:
        if rule is None:
            raise Nonlinear("has no linear stand-in here")
        if any(type(shape) is tuple and "unbatched" in shape for shape in shapes):
            raise Nonlinear("mixes the images of a batch")
        pulled = rule(step, over)
    except Nonlinear as reason:
        where = f"{traced.where(node)}: {name}"
        advice = "choose layers that both lie before it or both behind it"
        raise RefusedError(f"{where} on the way to '{target.name}' {reason}; {advice}") from None
    found.met[node] = tuple(replaced)
    return pulled


def collect(graph: Graph, target: Site, source: Site, stops: dict[fx.Node, Site], sweeps: Sequence[Sweep]) -> Weights:
    """The record of one pair from the chunks of its sweep."""
    parts = [at_source(graph, source, part, stops).full for part in sweeps]
    kernel = (torch.cat(parts) if len(parts) > 1 else parts[0]).contiguous().numpy().astype(np.float32, copy=False)
    return record(graph, target, source, stops, sweeps[0], kernel)


def record(graph: Graph, target: Site, source: Site, stops: dict[fx.Node, Site], found: Sweep, kernel: np.ndarray) -> Weights:
    """The record of one pair; where and how its kernel reads is told by any chunk of its sweep."""
    over = at_source(graph, source, found, stops)
    grid, offset, stride = over.grid, over.offset, over.stride
    centre = centre_of(target)
    start = [o - int(s * c // 1) if grid == f.SLIDING else o for o, s, c in zip(offset, stride, centre, strict=True)]
    route = path_nodes(graph, target, source, stops, found)
    own = own_heads(graph, target)
    through = tuple(dict.fromkeys(graph.traced.where(n) for n in route if has_weights(graph, n) and n not in own))
    stop = next(node for node, site in stops.items() if site is source)
    scale = source_scale(graph, source)
    pooled = grid == f.WHOLE and graph.traced.shapes[stop][-2:] == (1, 1) != source.shape[-2:]
    return Weights(
        source.name,
        target.name,
        kernel,
        f.MEAN if grid == f.FLAT or pooled else grid,
        (plain(stride[0]), plain(stride[1])),
        (start[0], start[1]),
        direct=is_direct(graph, target, route),
        through=through,
        replaced=replacements(graph, target, route, found),
        read_at=source.name if stop is source.end else graph.traced.where(stop),
        source_scale=None if scale is None else scale.numpy(),
        cancellation=None,
    )


def plain(stride: Fraction) -> int | float:
    """A whole stride as int; behind an upsampling a fraction."""
    return int(stride) if stride.denominator == 1 else float(stride)


def at_source(graph: Graph, source: Site, part: Sweep, stops: dict[fx.Node, Site]) -> Field:
    """The field at a source as `[unit, input, row, col]`."""
    found = [over for node, over in part.stopped.items() if stops[node] is source]
    assert len(found) == 1, "a source is read at one tensor"
    over = found[0].dense()
    if len(source.shape) == 1:
        return over.holds(over.full[:, :, None, None])
    over = f.as_map(over) if over.row is None else over
    axes = (0, source.axis + 1, over.row, over.col)
    return over.holds(over.full.permute(*axes), row=2, col=3)  # type: ignore[arg-type]


def path_nodes(graph: Graph, target: Site, source: Site, stops: dict[fx.Node, Site], found: Sweep) -> list[fx.Node]:
    """The operations between one source and the target, first computed first."""
    useful = {node for node, site in stops.items() if site is source}
    route = []
    for node in graph.traced.nodes:
        if node in found.met and any(parent in useful for parent in graph.open_paths[node]):
            useful.add(node)
            route.append(node)
    return route


def has_weights(graph: Graph, node: fx.Node) -> bool:
    """Whether an operation has kernels of its own, so that a path through it is indirect."""
    return graph.traced.operation(node) in ("Conv2d", "ConvTranspose2d", "Linear", "conv2d", "conv_transpose2d", "linear")


def is_direct(graph: Graph, target: Site, route: Sequence[fx.Node]) -> bool:
    """Whether the weights are the target's own kernels: nothing on the way but its norm and what only moves numbers."""
    own = own_heads(graph, target)
    weighted = [node for node in route if has_weights(graph, node)]
    return bool(weighted) and all(node in own or is_clear(graph, node) for node in route)


def is_clear(graph: Graph, node: fx.Node) -> bool:
    """Norms, activations, reshapes: what leaves a kernel its shape."""
    plain = graph.traced.operation(node) in PLAIN | RESHAPES
    return plain or is_norm(graph.traced, node) or is_activation(graph.traced, node)


def replacements(graph: Graph, target: Site, route: Sequence[fx.Node], found: Sweep) -> tuple[Replacement, ...]:
    """What stood in for what on the way, in order; the target's own activation comes after its weights, so it is no part."""
    traced = graph.traced
    ends = {node for branch in own_heads(graph, target) for node in graph.of_node[branch].nodes if is_activation(traced, node)}
    made = [
        Replacement(traced.where(node), operation_name(graph, node), by)
        for node in route
        for by in found.met.get(node, ())
        if node not in ends
    ]
    return tuple(dict.fromkeys(made))


def operation_name(graph: Graph, node: fx.Node) -> str:
    """'ReLU', 'MaxPool2d 3x3', 'gate'."""
    module, name = graph.traced.submodule(node), graph.traced.operation(node)
    window = getattr(module, "kernel_size", None) if "Pool" in name else None
    if name in ("mul", "imul"):
        return "gate"
    return (
        name if window is None else f"{name} {'x'.join(map(str, window if isinstance(window, Sequence) else (window, window)))}"
    )


# -- which pairs a choice of layers has -----------------------------------------------------------------------------------


def neighbours(graph: Graph, chosen: Sequence[str]) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """For each chosen layer the chosen layers it reads: (outside of it, inside of it), nearest first.

    A chosen layer inside a chosen block (a bottleneck of `mixed3a`) does not hide what lies before the block: the block reads
    that through it, by expanded weights, and reads its own inner layer too.
    """
    sites = [graph.site(address) for address in chosen]
    result = {}
    for site in sites:
        inner = [other for other in sites if other is not site and other.name.startswith(site.name + ".")]
        outer = [other for other in sites if other is not site and other not in inner]
        outside = nearest_sources(graph, site, outer)
        inside = [found for found in nearest_sources(graph, site, inner + outer) if found in inner]
        result[site.name] = (tuple(s.name for s in outside), tuple(s.name for s in inside))
    return result


def nearest_sources(graph: Graph, target: Site, candidates: Sequence[Site]) -> list[Site]:
    """The candidates that a walk back from the target meets before any other candidate, nearest first."""
    carried = {node: site for site in candidates for node in site.carriers}
    found: dict[Site, None] = {}
    queue, seen = [target.start], {target.start}
    while queue:
        node = queue.pop(0)
        if node in carried and node is not target.start:
            found.setdefault(carried[node])
            continue
        fresh = [parent for parent in graph.open_paths[node] if parent not in seen]
        seen.update(fresh)
        queue += fresh
    return list(found)
