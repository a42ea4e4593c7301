"""Layers: the places of a traced model whose channels are neurons, and which feeds which.

The units of a concat and of the branches that made them are the same neurons: they have their pages with the concat.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import fx, nn

from generator.errors import LayerError, nearest
from generator.globs import fits, is_glob
from generator.linear.norms import norm_scale
from generator.naming import name_sites, numbered_calls
from generator.records import Branch, Layer
from generator.sites import CONCATS, SUMS, Site, channel_axes, find_heads, gated_input, make_site
from generator.trace import Traced, parents, trace_module


@dataclass
class Graph:
    """A traced model with its sites; `layers` is the table of every layer one could name."""

    traced: Traced
    sites: tuple[Site, ...]  # in order of computation; the first is the input
    kinds: dict[Site, str]
    digests: dict[str, str] = field(default_factory=dict)  # of tensors, kept by `dependence`

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
    kinds = {site: kind_of(traced, site) for site in sites}
    name_sites(traced, sites, kinds)
    return Graph(traced, sites, kinds)


def kind_of(traced: Traced, site: Site) -> str:
    """'input', 'Conv2d', 'Linear', 'concat', 'add', ..."""
    if site.head.op == "placeholder":
        return "input"
    name = traced.operation(site.head)
    known = {"conv2d": "Conv2d", "conv_transpose2d": "ConvTranspose2d", "linear": "Linear"}
    return "concat" if name in CONCATS else "add" if name in SUMS else known.get(name, name)


# -- what the table says --------------------------------------------------------------------------------------------------


def describe(graph: Graph, site: Site) -> Layer:
    """The record of a layer."""
    rest = [size for axis, size in enumerate(site.shape) if axis != site.axis]
    module = graph.traced.submodule(site.head)
    kernel = getattr(module, "kernel_size", None) or function_kernel(graph, site)
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


def function_kernel(graph: Graph, site: Site) -> tuple[int, int] | None:
    """Rows and cols of the kernel that a convolution written as a function uses; None for anything else."""
    if site.head.op != "call_function" or graph.kinds[site] not in ("Conv2d", "ConvTranspose2d"):
        return None
    weight = site.head.args[1] if len(site.head.args) > 1 else site.head.kwargs["weight"]
    shape = graph.traced.shapes[weight][-2:] if isinstance(weight, fx.Node) else weight.shape[-2:]  # type: ignore[union-attr]
    return (int(shape[0]), int(shape[1]))


def own_modules(graph: Graph, site: Site) -> list[nn.Module]:
    """The modules with numbers between a layer's head and its end."""
    chain = site.nodes[: site.nodes.index(site.end) + 1]
    found = [graph.traced.submodule(node) for node in chain]
    return [module for module in found if module is not None]


def own_heads(graph: Graph, site: Site) -> list[fx.Node]:
    """The operations that make a layer's neurons: of a concat those of its branches."""
    return [site.head, *(graph.of_name[branch.address].head for branch in graph.branches.get(site, ()))]


def source_scale(graph: Graph, site: Site) -> torch.Tensor | None:
    """|gamma| of a layer's own batch norms, float32 `[unit]`; of a concat its branches'. None where a unit has no such norm."""
    branches = [source_scale(graph, graph.of_name[branch.address]) for branch in graph.branches.get(site, ())]
    if branches:
        known = [scale for scale in branches if scale is not None]
        return torch.cat(known) if len(known) == len(branches) else None
    norms: list[Any] = [module for module in own_modules(graph, site) if norm_scale(module) is not None]
    gammas = [norm.weight.detach().float().abs() for norm in norms if norm.weight is not None]
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
    return set(last.users) == {concat} and graph.kinds[branch] != "input"


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
    if not is_glob(pattern):
        return [graph.site(pattern)]
    found = [site for site in graph.sites if any(fits(name, pattern) for name in site.names)]
    if not found:
        near = nearest(pattern.replace("*", "").replace("?", ""), graph.of_name)
        raise LayerError(f"the model has no layer that matches '{pattern}'{near}")
    return found


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
