"""A layer's neurons as a function of the image, cut off where the layer ends, and what is to be made large of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn

from generator.graph import Graph
from generator.sites import CONCATS, Site, is_activation
from generator.trace import Traced, parents

OBJECTIVES = ("channel", "centre")


def network_up_to(graph: Graph, address: str) -> fx.GraphModule:
    """The part of a model that a layer needs, from the normalized image to two tensors of the layer's neurons.

    It maps `[image, channel, row, col]` to (before, after), both `[image, unit, row, col]`, or `[image, unit]` where the layer
    has no map: the neurons before their activation (behind their norm; of a concat those of its branches, side by side), and
    the neurons as the network hands them on. Weights are shared with the model, nothing behind the layer is computed.

    Raises:
        LayerError: there is no such layer.
    """
    cut = _Cut(graph)
    site = graph.site(address)
    before, after = cut.before(site.end), cut.plain(site.end)
    cut.graph.output((channels_first(cut.graph, before, site), channels_first(cut.graph, after, site)))
    found = fx.GraphModule(graph.traced.module, cut.graph)
    return found.eval().requires_grad_(False)


class _Cut:
    """A graph that grows by what is asked of it; operations are copied once each."""

    def __init__(self, graph: Graph) -> None:
        self.whole = graph
        self.traced: Traced = graph.traced
        self.graph = fx.Graph()
        self.copies: dict[fx.Node, fx.Node] = {}
        self.starts: dict[fx.Node, fx.Node] = {}

    def plain(self, node: fx.Node) -> fx.Node:
        """The copy of a tensor, and of all that it is made from."""
        order, stack = [], [node]
        while stack:
            here = stack.pop()
            if here not in self.copies and here not in order:
                order.append(here)
                stack += here.all_input_nodes
        wanted = set(order)
        for here in self.traced.nodes:
            if here in wanted:
                self.copies[here] = self.graph.node_copy(here, self.copies.__getitem__)
                self._guard(here)
        return self.copies[node]

    def before(self, node: fx.Node) -> fx.Node:
        """The copy of a tensor of neurons as it would be without the activations behind the layer's last norm."""
        site = self.whole.of_node.get(node)
        if site is None or (node not in site.carriers and node is not site.start):
            return self.plain(node)
        if node is site.start:
            return self._start(site)
        kept = next(parent for parent in parents(self.traced, node) if self.whole.of_node.get(parent) is site)
        below = self.before(kept)
        if is_activation(self.traced, node):
            return below
        self.plain(node)
        return self.graph.node_copy(node, lambda old: below if old is kept else self.copies[old])

    def _start(self, site: Site) -> fx.Node:
        if site.start is not site.head or self.traced.operation(site.head) not in CONCATS:
            self.plain(site.start)
            return self.starts[site.start]
        parts: Any = site.head.args[0] if site.head.args else site.head.kwargs["tensors"]
        return self.graph.call_function(torch.cat, ([self.before(part) for part in parts], site.axis + 1))

    def _guard(self, node: fx.Node) -> None:
        """Keep a layer's neurons from an activation that writes over them."""
        site = self.whole.of_node.get(node)
        if site is not None and node is site.start:
            self.starts[node] = self.graph.call_method("clone", (self.copies[node],))


def channels_first(graph: fx.Graph, node: fx.Node, site: Site) -> fx.Node:
    """A map whose channels come last, turned."""
    return node if len(site.shape) == 1 or site.axis == 0 else graph.call_method("movedim", (node, -1, 1))


def channel_means(neurons: Tensor) -> Tensor:
    """`[image, unit]`: the mean of every neuron over its map, of `[image, unit, row, col]` or `[image, unit]`."""
    return neurons.flatten(2).mean(2) if neurons.ndim > 2 else neurons


def objective(neurons: Tensor, kind: str, leak: float) -> Tensor:
    """What is made large, `[image]`: of neurons before their activation, one for each image, `[image, row, col]` or `[image]`.

    What is negative counts `leak` times, as in a leaky ReLU: where a neuron is shut its gradient is not nothing, and the two
    sides of a grating do not cancel in the mean. 'channel' is the mean over the map, 'centre' the neuron in its middle.
    """
    if kind not in OBJECTIVES:
        raise ValueError(f"unknown objective {kind!r}; known: {', '.join(OBJECTIVES)}")
    if neurons.ndim == 1:
        return neurons
    if kind == "centre":
        neurons = neurons[:, neurons.shape[1] // 2, neurons.shape[2] // 2, None]
    return nn.functional.leaky_relu(neurons, leak).flatten(1).mean(1)


def likeness(neurons: Tensor) -> Tensor:
    """How alike the images of a neuron are, `[neuron]`, 0..1: the mean cosine between the Gram matrices of its images.

    neurons: of the whole layer, `[neuron, image, unit, row, col]` or `[neuron, image, unit]`. The Gram matrix says which units
    are active together, wherever that is: it stands for a texture (Gatys, Ecker & Bethge 2015).
    """
    maps = neurons.flatten(3) if neurons.ndim > 3 else neurons[..., None]
    grams = nn.functional.normalize((maps @ maps.transpose(2, 3)).flatten(2), dim=2)
    cosines = grams @ grams.transpose(1, 2)
    images = cosines.shape[1]
    pairs = cosines.sum((1, 2)) - cosines.diagonal(dim1=1, dim2=2).sum(1)
    return pairs / max(1, images * (images - 1))
