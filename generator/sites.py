"""Which tensors of a traced model hold the same neurons.

A convolution, its norm and its activation hold the same neurons, and so does a pool behind them: they are one *site*. A concat
lays the neurons of its branches side by side; a sum (a residual stream) makes neurons of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from torch import fx, nn

from generator.linear import ACTIVATION_NAMES, ACTIVATIONS, NORMS, SAME
from generator.trace import Traced, parents

POOLS = frozenset(
    (
        "MaxPool2d AvgPool2d LPPool2d AdaptiveAvgPool2d AdaptiveMaxPool2d max_pool2d avg_pool2d lp_pool2d "
        "adaptive_avg_pool2d adaptive_max_pool2d Upsample UpsamplingNearest2d interpolate"
    ).split(" ")
)
RESHAPES = frozenset(
    (
        "view reshape flatten Flatten unflatten squeeze unsqueeze permute transpose contiguous getitem pad ZeroPad2d "
        "ConstantPad2d ReflectionPad2d ReplicationPad2d CircularPad2d"
    ).split(" ")
)
PLAIN = frozenset("Identity Dropout Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout LocalResponseNorm".split(" ")) | SAME
SUMS = frozenset("add iadd sub isub".split(" "))
CONCATS = frozenset("cat concat concatenate".split(" "))


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
    live = list(parents(traced, node))
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
