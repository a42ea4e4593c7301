"""How the neurons of a layer reach the classes through a mean over the map: their expanded weights to the logits.

A unit's weight on a class is what a map of ones of that unit adds to the logit. With a mean over the map on the way every
position counts alike, so one number for each class says all there is. Torch stops here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import fx

from generator import field as f
from generator.analyses.pushes import pushes
from generator.errors import LayerError, RefusedError
from generator.expand import (
    Sweep,
    at_source,
    centre_of,
    has_weights,
    join,
    leads_to,
    nearest_sources,
    nodes_between,
    operation_name,
    pull,
    weights_into,
)
from generator.field import Field
from generator.graph import Graph
from generator.records import Pushes, Replacement, Weights
from generator.sites import RESHAPES, Site

# On the bundled network these weights follow the mean gradient of the logits over photographs with a correlation of 0.92
# (median of a layer's neurons) with one layer between, 0.72 with two, 0.5 with three: what is farther is left out.
FARTHEST = 1  # layers with weights between a layer and those that the classes read, on the shortest way
MOST = 8  # modules with weights on all ways together


@dataclass(frozen=True)
class Between:
    """How maps of ones of each layer's units lead to one layer that the classes read."""

    read: Site
    fields: dict[Site, np.ndarray]  # float32 [between, unit]
    routes: dict[Site, list[fx.Node]]  # operations on the way, last computed first
    met: dict[fx.Node, tuple[str, ...]]  # operation -> what stood in for it


def pushed_classes(graph: Graph, addresses: Sequence[str], count: int) -> dict[str, Pushes]:
    """The classes that the neurons of some layers push up and down, by address.

    Layers that reach the classes otherwise than through a mean over the map, or from farther than FARTHEST and MOST, are left
    out, and so are the classes themselves.
    """
    classes = class_layer(graph)
    wanted = [graph.site(address) for address in addresses]
    if not classes or not wanted:
        return {}
    own = graph.site(classes)
    try:
        read = nearest_sources(graph, own, [site for site in graph.sites if site is not own])
        weights = weights_into(graph, classes, [site.name for site in read])
    except (RefusedError, LayerError):
        return {}
    parts = [
        (matrix, between(graph, site, [each for each in wanted if each is not own]))
        for each, site in zip(weights, read, strict=True)
        if (matrix := on_constant_maps(each, site, own)) is not None
    ]
    return {site.name: found for site in wanted if (found := joint(graph, site, parts, count, classes)) is not None}


def class_layer(graph: Graph) -> str:
    """The address of the layer whose neurons are the classes: what the model gives, if that is one vector; else ''."""
    output = next((node for node in graph.traced.module.graph.nodes if node.op == "output"), None)  # type: ignore[union-attr]
    given = output.args[0] if output is not None else None
    if not isinstance(given, fx.Node) or given not in graph.open_paths:
        return ""
    node = given
    while node not in graph.of_node and graph.traced.operation(node) in RESHAPES and graph.open_paths[node]:
        node = graph.open_paths[node][0]
    site = graph.of_node.get(node)
    if site is None or graph.traced.shapes[given] != (site.neurons,) or graph.kinds[site] not in ("Linear", "Conv2d"):
        return ""
    return site.name


def on_constant_maps(weights: Weights, read: Site, own: Site) -> np.ndarray | None:
    """The classes' weights on a layer as what a map of ones adds, `[class, between]`; None where its positions differ."""
    if weights.grid == f.WHOLE or (weights.grid == f.SLIDING and len(own.shape) == 1):
        return None
    return np.asarray(weights.kernel.sum((2, 3)))


def between(graph: Graph, read: Site, wanted: Sequence[Site]) -> Between:
    """How each wanted layer that is near enough leads to a layer that the classes read."""
    reach = nodes_between(graph, read.start, ())
    steps = layers_between(graph, read.start, reach)
    near = [site for site in wanted if site is not read and steps.get(site.end, FARTHEST + 1) <= FARTHEST]
    routes = {site: route(graph, read, site) for site in near}
    routes = {site: nodes for site, nodes in routes.items() if is_short(graph, nodes)}
    found = Between(read, {}, routes, {})
    if routes:
        sweep_over(graph, found, leads_to(graph, reach, {site.end for site in routes}), {site.end: site for site in routes})
    if read in wanted:
        found.fields[read], found.routes[read] = np.eye(read.neurons, dtype=np.float32), []
    return found


def is_short(graph: Graph, nodes: Sequence[fx.Node]) -> bool:
    """Whether a route has few modules with weights, and none that tells the positions of a map apart."""
    return sum(has_weights(graph, node) for node in nodes) <= MOST and not any(lays_out(graph, node) for node in nodes)


def lays_out(graph: Graph, node: fx.Node) -> bool:
    """Whether an operation makes one vector of a map of several positions."""
    shapes = graph.traced.shapes
    if graph.traced.operation(node) not in RESHAPES or len(shapes[node]) != 1:
        return False
    return any(len(shapes[parent]) == 3 and max(shapes[parent]) < shapes[node][0] for parent in graph.open_paths[node])


def layers_between(graph: Graph, start: fx.Node, reach: set[fx.Node]) -> dict[fx.Node, int]:
    """The fewest operations with weights between each tensor and `start`, those that make the tensor itself left out."""
    steps = {start: 0}
    for node in reversed(graph.traced.nodes):
        for parent in graph.open_paths[node] if node in steps and node in reach else ():
            steps[parent] = min(steps.get(parent, len(reach)), steps[node] + has_weights(graph, node))
    return steps


def sweep_over(graph: Graph, found: Between, useful: Sequence[fx.Node], ends: dict[fx.Node, Site]) -> None:
    """One sweep back that notes the fields at every wanted layer on the way; it ends where an operation has no stand-in."""
    read, allowed, swept = found.read, set(useful), Sweep()
    start = f.one_hot(torch.arange(read.neurons), read.shape, read.axis, centre_of(read))
    fields = {read.start: replace(start, grid=f.MEAN, offset=(0, 0)) if len(read.shape) == 3 else start}
    with torch.no_grad():
        for node in useful:
            over = fields.pop(node, None)
            if over is None:
                continue
            if node in ends and (values := as_matrix(graph, ends[node], over)) is not None:
                found.fields[ends[node]] = values
            try:
                pulled = pull(graph, read, node, over, swept) if any(p in allowed for p in graph.open_paths[node]) else []
                for parent, field in pulled:
                    if parent in allowed:
                        fields[parent] = join(graph, read, parent, fields.get(parent), field)
            except RefusedError:
                break
    found.met.update(swept.met)


def as_matrix(graph: Graph, site: Site, over: Field) -> np.ndarray | None:
    """A field at the end of a layer as `[between, unit]`; None where it knows positions."""
    over = at_source(graph, site, Sweep({site.end: over}), {site.end: site})
    return None if over.grid in (f.WHOLE, f.SLIDING) else over.full.sum((2, 3)).numpy()


def route(graph: Graph, read: Site, site: Site) -> list[fx.Node]:
    """The operations between two layers, last computed first."""
    return leads_to(graph, nodes_between(graph, read.start, {site.end}) - {site.end}, {site.end})[:-1]


def joint(graph: Graph, site: Site, parts: Sequence[tuple[np.ndarray, Between]], count: int, classes: str) -> Pushes | None:
    """The pushes of one layer over all layers that the classes read; None where none of them is reached."""
    through = [(matrix, part) for matrix, part in parts if site in part.fields]
    if not through:
        return None
    nodes = list(dict.fromkeys(node for _, part in through for node in reversed(part.routes[site])))
    weighted = tuple(dict.fromkeys(graph.traced.where(node) for node in nodes if has_weights(graph, node)))
    met = {node: words for _, part in through for node, words in part.met.items()}
    replaced = tuple(Replacement(graph.traced.where(n), operation_name(graph, n), by) for n in nodes for by in met.get(n, ()))
    return pushes([(matrix, part.fields[site]) for matrix, part in through], count, classes, weighted, replaced)
