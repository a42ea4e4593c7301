"""Layers: the places of a traced model whose channels are neurons, their names, and which feeds which.

A convolution, its norm and its activation hold the same neurons, and so does a pool behind them: they are one *site* under
several names. A concat lays the neurons of its branches side by side: they are the same neurons again, and have their pages
with the concat. A sum (a residual stream) makes neurons of its own.
"""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import fx, nn

from generator.errors import LayerError, nearest
from generator.linear import ACTIVATION_NAMES, ACTIVATIONS, NORMS, SAME
from generator.linear.norms import norm_scale
from generator.records import Branch, Layer
from generator.trace import Traced, parents, trace_module

POOLS = frozenset(
    "MaxPool2d AvgPool2d LPPool2d AdaptiveAvgPool2d AdaptiveMaxPool2d max_pool2d avg_pool2d lp_pool2d adaptive_avg_pool2d "
    "adaptive_max_pool2d Upsample UpsamplingNearest2d interpolate".split()
)
RESHAPES = frozenset("view reshape flatten Flatten unflatten squeeze unsqueeze permute transpose contiguous getitem".split())
PLAIN = frozenset("Identity Dropout Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout LocalResponseNorm".split()) | SAME
SUMS = frozenset("add iadd sub isub".split())
CONCATS = frozenset("cat concat concatenate".split())


@dataclass(eq=False)
class Site:
    """Everything in the graph that holds the neurons of one layer."""

    head: fx.Node  # the operation that makes the neurons
    nodes: list[fx.Node]  # the head and all that keeps its neurons apart, in order of computation
    end: fx.Node  # the last of the head's own norm and activation: where the neurons are read
    start: fx.Node  # where a sweep for these neurons begins: the end, without trailing activations
    carriers: set[fx.Node]  # tensors that may stand for the end: the end and pools, activations, gates behind it
    shape: tuple[int, ...]  # of the end, without the batch
    axis: int  # of the channel in that shape
    name: str = ""
    names: list[str] = field(default_factory=list)  # every module path of these neurons, `name` included

    @property
    def neurons(self) -> int:
        """How many neurons the layer has."""
        return self.shape[self.axis]


@dataclass
class Graph:
    """A traced model with its sites; `layers` is the table of every layer one could name."""

    traced: Traced
    sites: tuple[Site, ...]  # in order of computation; the first is the input
    kinds: dict[Site, str]

    @cached_property
    def of_name(self) -> dict[str, Site]:
        """The site of every address, aliases included."""
        return {name: site for site in self.sites for name in site.names}

    @cached_property
    def of_node(self) -> dict[fx.Node, Site]:
        """The site of every tensor that holds neurons."""
        return {node: site for site in self.sites for node in site.nodes}

    @cached_property
    def open_paths(self) -> dict[fx.Node, tuple[fx.Node, ...]]:
        """The tensors each operation reads that depend on the image; of a product with a gate only what is gated."""
        found = {}
        for node in self.traced.nodes:
            live = tuple(parents(self.traced, node))
            product = len(live) == 2 and self.traced.operation(node) in ("mul", "imul")
            kept = gated_input(self.traced, node) if product else None
            found[node] = live if kept is None else (kept,)
        return found

    def site(self, address: str) -> Site:
        """The site of an address.

        Raises:
            LayerError: there is none; names the nearest.
        """
        if address not in self.of_name:
            raise LayerError(f"the model has no layer '{address}'{nearest(address, self.of_name)}")
        return self.of_name[address]

    @cached_property
    def layers(self) -> dict[str, Layer]:
        """Every layer one could name, in order of computation, by its address."""
        return {site.name: describe(self, site) for site in self.sites}

    def reads(self, site: Site) -> tuple[Site, ...]:
        """The sites that feed a site, nearest first."""
        found: dict[Site, None] = {}
        queue, seen = [site.head], {site.head}
        while queue:
            for parent in parents(self.traced, queue.pop(0)):
                if parent in seen:
                    continue
                seen.add(parent)
                if parent in self.of_node:
                    found.setdefault(self.of_node[parent])
                else:
                    queue.append(parent)
        return tuple(found)

    @cached_property
    def branches(self) -> dict[Site, tuple[Branch, ...]]:
        """For every concat of a module's own: the branches that go nowhere else."""
        return {site: found for site in self.sites if (found := own_branches(self, site))}

    @cached_property
    def concat_of(self) -> dict[Site, tuple[Site, int]]:
        """For every branch of such a concat: the concat and the number of its first unit there."""
        return {self.of_name[b.address]: (site, b.start) for site, found in self.branches.items() for b in found}


def trace(module: nn.Module, input_shape: tuple[int, int, int]) -> Graph:
    """The graph of a model at one input size (channels, rows, cols).

    Raises:
        ModelError: the model cannot be traced, or does not run at this size.
    """
    traced = trace_module(module, input_shape)
    axes = channel_axes(traced)
    heads = find_heads(traced, axes)
    sites = tuple(make_site(traced, head, nodes, axes) for head, nodes in heads.items())
    graph = Graph(traced, sites, {site: kind_of(traced, site) for site in sites})
    name_sites(graph)
    return graph


# -- which tensors hold the same neurons ----------------------------------------------------------------------------------


def channel_axes(traced: Traced) -> dict[fx.Node, int]:
    """The channel axis (without the batch) of every tensor that is a map or a vector of neurons."""
    axes: dict[fx.Node, int] = {}
    for node in traced.nodes:
        shape = traced.shapes[node]
        if node not in traced.live or type(shape) is not tuple or "unbatched" in shape or len(shape) not in (1, 3):
            continue
        name, first = traced.operation(node), next(parents(traced, node), None)
        last = name in ("Linear", "linear") or (first in axes and axes[first] == 2 and traced.shapes[first] == shape)
        axes[node] = len(shape) - 1 if last else 0
        if name == "permute" and first in axes and len(shape) == 3:
            axes[node] = moved_axis(node, axes[first])
    return axes


def moved_axis(node: fx.Node, axis: int) -> int:
    """Where a permutation puts the channel axis (both without the batch)."""
    rest: Any = node.kwargs.get("dims") or node.args[1:]
    order = rest[0] if len(rest) == 1 and isinstance(rest[0], tuple | list) else rest
    return [int(a) % len(order) for a in order].index(axis + 1) - 1


def keeps_neurons(traced: Traced, node: fx.Node, axes: dict[fx.Node, int]) -> fx.Node | None:
    """The tensor whose neurons an operation passes on one by one; None if it makes others."""
    first = next(parents(traced, node), None)
    if first is None or first not in axes or axes[first] != axes.get(node):
        return None
    name, module = traced.operation(node), traced.submodule(node)
    if traced.shapes[node][axes[node]] != traced.shapes[first][axes[first]]:
        return None
    if name in ("mul", "imul") and len(list(parents(traced, node))) == 2:
        return gated_input(traced, node)
    kept = name in POOLS or name in PLAIN or is_norm(traced, node) or is_activation(traced, node)
    kept = kept or (name in ("mul", "imul", "div", "truediv") and is_scale(traced, node))
    return first if kept and not isinstance(module, nn.GLU) else None


def gated_input(traced: Traced, node: fx.Node) -> fx.Node | None:
    """Of two factors the one that the other opens, if the other is spread over its map or squashed."""
    one, other = list(parents(traced, node))
    small = [math.prod(size for size in traced.shapes[n] if isinstance(size, int)) for n in (one, other)]
    if small[0] != small[1]:
        return one if small[0] > small[1] else other
    squashed = [traced.opening(n) is not None for n in (one, other)]
    return {(False, True): one, (True, False): other}.get((squashed[0], squashed[1]))


def is_scale(traced: Traced, node: fx.Node) -> bool:
    """Whether an operation multiplies or divides by a constant."""
    return node.args[0] in traced.live and node.args[1] not in traced.live


def is_norm(traced: Traced, node: fx.Node) -> bool:
    """Whether an operation is a norm of any kind."""
    module = traced.submodule(node)
    if module is not None:
        return isinstance(module, NORMS)
    return traced.operation(node) in ("batch_norm", "layer_norm", "group_norm", "instance_norm")


def is_activation(traced: Traced, node: fx.Node) -> bool:
    """Whether an operation is an activation function."""
    module = traced.submodule(node)
    return isinstance(module, ACTIVATIONS) if module is not None else traced.operation(node) in ACTIVATION_NAMES


def find_heads(traced: Traced, axes: dict[fx.Node, int]) -> dict[fx.Node, list[fx.Node]]:
    """The tensors that hold each layer's neurons, by the operation that makes them."""
    head_of: dict[fx.Node, fx.Node] = {}
    heads: dict[fx.Node, list[fx.Node]] = {}
    for node in traced.nodes:
        if node not in axes:
            continue
        kept = keeps_neurons(traced, node, axes)
        head = head_of[kept] if kept is not None and kept in head_of else node
        if head is node and not makes_neurons(traced, node):
            continue
        head_of[node] = head
        heads.setdefault(head, []).append(node)
    return heads


def makes_neurons(traced: Traced, node: fx.Node) -> bool:
    """Operations whose results are neurons: the input, what has weights, a sum of two tensors, a concat."""
    name = traced.operation(node)
    live = [parent for parent in parents(traced, node)]
    if name in SUMS:
        return len(live) == 2 and all(traced.shapes[p] == traced.shapes[node] for p in live)
    weighted = ("Conv2d", "ConvTranspose2d", "Linear", "conv2d", "conv_transpose2d", "linear")
    return node.op == "placeholder" or name in weighted or (name in CONCATS and is_channel_concat(traced, node))


def is_channel_concat(traced: Traced, node: fx.Node) -> bool:
    """Whether a concat lays channels side by side."""
    parts: Any = node.args[0] if node.args else node.kwargs["tensors"]
    if not isinstance(parts, list | tuple):
        return False
    return sum(traced.shapes[part][0] for part in parts if part in traced.live) == traced.shapes[node][0]


def make_site(traced: Traced, head: fx.Node, nodes: list[fx.Node], axes: dict[fx.Node, int]) -> Site:
    """Find where a layer's neurons are read and written: behind its own norm and activation, before a pool."""
    end = start = head
    while len(end.users) == 1:
        after = next(iter(end.users))
        own = is_norm(traced, after) or is_activation(traced, after) or traced.operation(after) in PLAIN
        if after not in nodes or not own or axes[after] != axes[head]:
            break
        end = after
        start = after if is_norm(traced, after) else start
    carriers = {end}
    for node in nodes:
        if any(parent in carriers for parent in parents(traced, node)) and not is_norm(traced, node):
            scaled = traced.operation(node) in ("mul", "imul", "div", "truediv") and is_scale(traced, node)
            carriers |= set() if scaled or keeps_neurons(traced, node, axes) not in carriers else {node}
    return Site(head, nodes, end, start, carriers, traced.shapes[end], axes[end])


# -- names ----------------------------------------------------------------------------------------------------------------


def kind_of(traced: Traced, site: Site) -> str:
    """'input', 'Conv2d', 'Linear', 'concat', 'add', ..."""
    if site.head.op == "placeholder":
        return "input"
    name = traced.operation(site.head)
    known = {"conv2d": "Conv2d", "conv_transpose2d": "ConvTranspose2d", "linear": "Linear"}
    return "concat" if name in CONCATS else "add" if name in SUMS else known.get(name, name)


def name_sites(graph: Graph) -> None:
    """Give every site its address and its aliases.

    The address is the outermost module that holds nothing but this layer (`conv0` rather than `conv0.conv`); for a sum or a
    concat the module in whose forward it stands, if it is what that module gives.
    """
    calls = numbered_calls(graph.traced)
    inside = nodes_inside(graph.traced)
    for site in graph.sites:
        members = set(site.nodes)
        paths = [path for path, node in calls if node in members and path]
        if site.head.op == "placeholder":
            site.name = "input"
        elif graph.kinds[site] in ("concat", "add") or site.head.op != "call_module":
            site.name = function_site_name(graph, site, paths)
        else:
            site.name = wrapper_name(site, paths, calls, inside, graph)
        site.names = [site.name, *(path for path in paths if path != site.name)]
    make_unique(graph)


def numbered_calls(traced: Traced) -> list[tuple[str, fx.Node]]:
    """Module path and result of every call; the second call of a module is `path@2`."""
    count: dict[str, int] = {}
    calls = []
    for path, node in traced.outputs:
        count[path] = count.get(path, 0) + 1
        calls.append((path if count[path] == 1 else f"{path}@{count[path]}", node))
    return calls


def nodes_inside(traced: Traced) -> dict[str, set[fx.Node]]:
    """For every module path the operations that stand within it, at any depth."""
    inside: dict[str, set[fx.Node]] = {}
    for node in traced.nodes:
        scope = str(node.target) if node.op == "call_module" else traced.scopes.get(node, "")
        parts = scope.split(".") if scope else []
        for depth in range(1, len(parts) + 1):
            inside.setdefault(".".join(parts[:depth]), set()).add(node)
    return inside


def wrapper_name(
    site: Site, paths: list[str], calls: list[tuple[str, fx.Node]], inside: dict[str, set[fx.Node]], graph: Graph
) -> str:
    """The outermost module around the head that holds only this layer's operations and gives its neurons."""
    own = next(path for path, node in calls if node is site.head and path.split("@")[0] == str(site.head.target))
    name, members = own, set(site.nodes)
    parts = own.split("@")[0].split(".")
    for depth in range(len(parts) - 1, 0, -1):
        path = ".".join(parts[:depth])
        tensors = {node for node in inside[path] if node in graph.traced.live}
        if path not in paths or not tensors <= members:
            break
        name = path
    return name


def function_site_name(graph: Graph, site: Site, paths: list[str]) -> str:
    """The module in whose forward a function stands, if that module gives its neurons; else the function's own name there."""
    scope = graph.traced.scopes.get(site.head, "")
    given = [path for path in paths if path.split("@")[0] == scope]
    if given:
        return given[0]
    kind = graph.kinds[site].replace("Conv2d", "conv")
    return f"{scope}.{kind}" if scope else kind


def make_unique(graph: Graph) -> None:
    """Number the names that two sites would share, and drop aliases that are another site's name."""
    taken: dict[str, int] = {}
    for site in graph.sites:
        taken[site.name] = taken.get(site.name, 0) + 1
        if taken[site.name] > 1:
            site.names[0] = site.name = f"{site.name}_{taken[site.name]}"
    names = {site.name for site in graph.sites}
    for site in graph.sites:
        site.names = [site.name, *(n for n in dict.fromkeys(site.names[1:]) if n not in names)]


# -- what the table says --------------------------------------------------------------------------------------------------


def describe(graph: Graph, site: Site) -> Layer:
    """The record of a layer."""
    rest = [size for axis, size in enumerate(site.shape) if axis != site.axis]
    module = graph.traced.submodule(site.head)
    kernel = getattr(module, "kernel_size", None)
    stride = getattr(module, "stride", None)
    branches = graph.branches.get(site, ())
    return Layer(
        site.name,
        graph.kinds[site],
        site.neurons,
        (rest[0], rest[1]) if rest else None,
        (kernel[0], kernel[1]) if kernel else None,
        (stride[0], stride[1]) if stride else None,
        sum(p.numel() for module in own_modules(graph, site) for p in module.parameters()),
        tuple(read.name for read in graph.reads(site)),
        tuple(site.names[1:]),
        branches,
    )


def own_modules(graph: Graph, site: Site) -> list[nn.Module]:
    """The modules with numbers between a layer's head and its end."""
    chain = site.nodes[: site.nodes.index(site.end) + 1]
    found = [graph.traced.submodule(node) for node in chain]
    return [module for module in found if module is not None]


def own_heads(graph: Graph, site: Site) -> list[fx.Node]:
    """The operations that make a layer's neurons: of a concat those of its branches."""
    return [site.head, *(graph.of_name[branch.address].head for branch in graph.branches.get(site, ()))]


def source_scale(graph: Graph, site: Site) -> torch.Tensor | None:
    """|gamma| of the layer's own batch norms `[unit]`; None without one (for a concat: None, its branches have theirs)."""
    gammas = [
        m.weight.detach().float().abs() for m in own_modules(graph, site) if norm_scale(m) is not None and m.weight is not None
    ]
    return torch.stack(gammas).prod(0) if gammas else None


def own_branches(graph: Graph, site: Site) -> tuple[Branch, ...]:
    """The branches of a concat if it is what a module gives and they go nowhere else, nested concats laid open."""
    if graph.kinds[site] != "concat" or site.name not in {path for path, _ in numbered_calls(graph.traced)}:
        return ()
    runs = concat_runs(graph, site)
    if any(branch is None for branch, _, _ in runs):
        return ()
    return tuple(Branch(branch.name, start, stop) for branch, start, stop in runs if branch is not None)


def concat_runs(graph: Graph, site: Site, first: int = 0) -> list[tuple[Site | None, int, int]]:
    """(branch, first unit, last unit + 1) for each part of a concat; None for a part that is not a layer of its own."""
    parts: Any = site.head.args[0] if site.head.args else site.head.kwargs["tensors"]
    runs: list[tuple[Site | None, int, int]] = []
    for part in parts:
        branch, width = graph.of_node.get(part), graph.traced.shapes[part][0]
        alone = branch is not None and part in branch.carriers and goes_only(graph, branch, part, site.head)
        if alone and branch is not None and graph.kinds[branch] == "concat":
            runs += concat_runs(graph, branch, first)
        else:
            runs.append((branch if alone else None, first, first + width))
        first += width
    return runs


def goes_only(graph: Graph, branch: Site, last: fx.Node, concat: fx.Node) -> bool:
    """Whether a branch's neurons reach nothing but the concat."""
    node = branch.end
    while node is not last:
        if len(node.users) != 1:
            return False
        node = next(iter(node.users))
    return set(last.users) == {concat} and not graph.kinds[branch] == "input"


# -- choosing -------------------------------------------------------------------------------------------------------------


def choose(graph: Graph, patterns: Iterable[str]) -> tuple[str, ...]:
    """The layers that a spec names, in order of computation.

    Args:
        graph: of the model.
        patterns: addresses or globs (`*` within a name, `**` across dots), or 'auto'.

    Raises:
        LayerError: a pattern that matches nothing; one line for each, with the nearest names.
    """
    chosen: set[Site] = set()
    for pattern in patterns:
        chosen |= set(auto_sites(graph)) if pattern == "auto" else set(matching(graph, pattern))
    chosen -= {site for site in chosen if site in graph.concat_of and graph.concat_of[site][0] in chosen}
    return tuple(site.name for site in graph.sites if site in chosen)


def matching(graph: Graph, pattern: str) -> list[Site]:
    """The sites that an address or glob names.

    Raises:
        LayerError: none; names the nearest.
    """
    if not any(sign in pattern for sign in "*?["):
        return [graph.site(pattern)]
    expression = re.compile(glob_expression(pattern))
    found = [site for site in graph.sites if any(expression.fullmatch(name) for name in site.names)]
    if not found:
        near = nearest(re.sub(r"[*?\[\]]", "", pattern), graph.of_name)
        raise LayerError(f"the model has no layer that matches '{pattern}'{near}")
    return found


def glob_expression(pattern: str) -> str:
    """A glob as a regular expression: `*` and `?` stay within one name, `**` crosses dots."""
    plain = fnmatch.translate(pattern.replace("**", "\0"))
    inner = plain.removeprefix("(?s:").rsplit(")", 1)[0]
    return inner.replace(".*", "[^.]*").replace("\\\0", ".*").replace("\0", ".*")


def auto_sites(graph: Graph) -> list[Site]:
    """What 'auto' means: the input, everything with weights, the concats and sums that are what a module gives; no gates.

    A branch that goes into nothing but such a concat has its neurons there.
    """
    gates = gate_sites(graph)
    concats = set(graph.branches)
    given = {path for path, _ in numbered_calls(graph.traced)}
    found = []
    for site in graph.sites:
        kind = graph.kinds[site]
        weighted = kind in ("Conv2d", "ConvTranspose2d", "Linear") and site not in gates and site not in graph.concat_of
        if kind == "input" or weighted or site in concats or (kind == "add" and site.name in given):
            found.append(site)
    return found


def gate_sites(graph: Graph) -> set[Site]:
    """Sites that reach the model's end only by opening gates (the convolutions of a squeeze-excitation)."""
    useful: set[fx.Node] = set()
    for node in reversed(graph.traced.nodes):
        if node.op == "output" or node in useful:
            useful.update(graph.open_paths[node])
    return {site for site in graph.sites if site.head not in useful}
