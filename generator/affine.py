"""What a layer's own modules hold: the bias they add, the scale of their batch norm, how many weights a neuron has."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from generator.graph import Graph, own_heads
from generator.linear.norms import channel_scale, norm_scale
from generator.sites import CONCATS, Site, is_norm

WEIGHTED = ("Conv2d", "ConvTranspose2d", "Linear", "conv2d", "conv_transpose2d", "linear")


def own_bias_and_scale(graph: Graph, address: str) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The bias of every neuron with its batch norm folded in, and the scale (gamma over deviation) of that batch norm.

    Two float32 [unit]; of a concat of branches those of its branches, then of a norm behind it. Each is None where the layer
    has none, or where a norm that divides by something of the image's stands between its weights and its activation.
    """
    terms = _terms(graph, graph.site(address))
    bias, scale = (None if term is None else term.float().numpy() for term in terms)
    return bias, scale


def own_weights(graph: Graph, address: str) -> np.ndarray | None:
    """How many weights the layer's own convolution or linear map stores for a neuron: int64 [unit]; of a concat its branches'.

    None where another operation makes the neurons, and for a transposed convolution, of whose kernel a neuron at one position
    reads but a part.
    """
    counts = [_stored(graph, head) for head in own_heads(graph, graph.site(address)) if not _is_concat(graph, head)]
    known = [count for count in counts if count is not None]
    return np.concatenate(known) if known and len(known) == len(counts) else None


def _is_concat(graph: Graph, head: fx.Node) -> bool:
    return graph.traced.operation(head) in CONCATS


def _stored(graph: Graph, head: fx.Node) -> np.ndarray | None:
    """The number of weights for each unit of one operation."""
    if graph.traced.operation(head) not in ("Conv2d", "conv2d", "Linear", "linear"):
        return None
    module = graph.traced.submodule(head)
    weight: Any = _argument(graph, head, 1, "weight") if module is None else module.weight
    return None if weight is None else np.full(len(weight), weight[0].numel())


def _terms(graph: Graph, site: Site) -> tuple[Tensor | None, Tensor | None]:
    """Bias and scale of a site, float64 [unit]."""
    bias, scale = _of_head(graph, site)
    fixed = bias is not None or not graph.branches.get(site)
    for node in site.nodes[1 : site.nodes.index(site.start) + 1]:
        if not is_norm(graph.traced, node):
            continue
        found = _batch_norm(graph, node)
        if found is None:
            return None, None
        own, shift = found
        bias = shift if bias is None else bias * own + shift
        scale = own if scale is None else scale * own
    return (bias if fixed else None), scale


def _of_head(graph: Graph, site: Site) -> tuple[Tensor | None, Tensor | None]:
    """The bias of the operation that makes the neurons; of a concat both terms of its branches, where each has them."""
    branches = [_terms(graph, graph.of_name[branch.address]) for branch in graph.branches.get(site, ())]
    if branches:
        bias, scale = (_joined(terms) for terms in zip(*branches, strict=True))
        return bias, scale
    if graph.traced.operation(site.head) not in WEIGHTED:
        return None, None
    module: Any = graph.traced.submodule(site.head)
    bias = _argument(graph, site.head, 2, "bias") if module is None else module.bias
    return (bias.detach().double() if isinstance(bias, Tensor) else None), None


def _joined(terms: Any) -> Tensor | None:
    """The terms of all branches side by side; None where one has none."""
    return None if any(term is None for term in terms) else torch.cat(terms)


def _argument(graph: Graph, node: fx.Node, place: int, name: str) -> Any:
    """The value of an argument of a call; None where it is not given or depends on the image."""
    given = node.args[place] if len(node.args) > place else node.kwargs.get(name)
    return None if given in graph.traced.live else graph.traced.constant(given)


def _batch_norm(graph: Graph, node: fx.Node) -> tuple[Tensor, Tensor] | None:
    """Scale and shift of a batch norm in eval mode, float64 [unit]; None for a norm that is not fixed."""
    module: Any = graph.traced.submodule(node)
    if module is not None:
        scale = norm_scale(module)
        if scale is None:
            return None
        mean, beta = module.running_mean, module.bias
    else:
        names = ("running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
        mean, variance, weight, beta, training, _, eps = (_argument(graph, node, 1 + at, n) for at, n in enumerate(names))
        if graph.traced.operation(node) != "batch_norm" or variance is None or training:
            return None
        scale = channel_scale(weight, variance, 1e-5 if eps is None else eps)
    scale = scale.detach().double()
    shift = -mean.detach().double() * scale
    return scale, shift if beta is None else shift + beta.detach().double()
