"""What part of the image each position of a layer's map sees: the receptive field, from the sizes of windows and strides.

After Araujo, Norris & Sim, *Computing Receptive Fields of Convolutional Neural Networks* (Distill 2019), with unions where
paths meet. It is the most that can be seen: what weights there are within it is another matter. A gate (squeeze-excitation)
sees the whole image, and is left out, as on every path of weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import fx, nn

from generator.graph import Graph
from generator.linear import ACTIVATION_NAMES, SAME
from generator.linear.step import pair
from generator.sites import CONCATS, PLAIN, RESHAPES, SUMS, Site, channel_axes, is_activation, is_norm
from generator.trace import Traced, parents

Pair = tuple[int, int]
WINDOWS = {  # operations that slide a window: the order of their arguments
    "conv2d": "input weight bias stride padding dilation",
    "max_pool2d": "input kernel_size stride padding dilation",
    "avg_pool2d": "input kernel_size stride padding",
    "lp_pool2d": "input norm_type kernel_size stride",
}
SLIDING = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d, nn.LPPool2d)
POINTWISE = SUMS | CONCATS | PLAIN | SAME | ACTIVATION_NAMES | frozenset("mul imul div truediv neg multiply divide".split(" "))
SPLITS = frozenset("chunk split getitem channel_shuffle ChannelShuffle".split(" "))
PADS = frozenset("pad ZeroPad2d ConstantPad2d ReflectionPad2d ReplicationPad2d CircularPad2d".split(" "))


@dataclass(frozen=True)
class Reach:
    """Position (y, x) of a map sees the pixels `start + stride * (y, x)` to `start + stride * (y, x) + size - 1`."""

    start: Pair = (0, 0)  # row, col; below zero where it begins beyond the border
    size: Pair = (1, 1)  # rows, cols
    stride: Pair = (1, 1)

    def behind(self, kernel: Pair, stride: Pair, before: Pair, dilation: Pair) -> Reach:
        """The reach of a window over this map, with `before` rows and cols of padding before it."""
        step = self.stride
        return Reach(
            (self.start[0] - before[0] * step[0], self.start[1] - before[1] * step[1]),
            (self.size[0] + reach(kernel, dilation, 0) * step[0], self.size[1] + reach(kernel, dilation, 1) * step[1]),
            (step[0] * stride[0], step[1] * stride[1]),
        )

    def along(self, other: Reach) -> Reach | None:
        """What both see, from the first to the last; None where they do not move alike."""
        if self.stride != other.stride:
            return None
        first = [min(self.start[axis], other.start[axis]) for axis in (0, 1)]
        last = [max(each.start[axis] + each.size[axis] for each in (self, other)) for axis in (0, 1)]
        return Reach((first[0], first[1]), (last[0] - first[0], last[1] - first[1]), self.stride)


def reach(kernel: Pair, dilation: Pair, axis: int) -> int:
    """Positions from the first to the last that a kernel reads."""
    return (kernel[axis] - 1) * dilation[axis]


def reaches(graph: Graph) -> dict[fx.Node, Reach | None]:
    """The reach of every tensor that depends on the image; None where a position may see all of it."""
    traced, axes = graph.traced, channel_axes(graph.traced)
    found: dict[fx.Node, Reach | None] = {traced.input: Reach()}
    for node in traced.nodes:
        if node in traced.live and node is not traced.input:
            found[node] = reach_of(graph, node, found, axes)
    return found


def reach_of(graph: Graph, node: fx.Node, found: dict[fx.Node, Reach | None], axes: dict[fx.Node, int]) -> Reach | None:
    """The reach of one operation's result from those of what it reads."""
    traced, name, module = graph.traced, graph.traced.operation(node), graph.traced.submodule(node)
    below = union([found.get(parent) for parent in graph.open_paths[node]])
    if below is None:
        return None
    if name in WINDOWS or isinstance(module, SLIDING):
        return below.behind(*window(traced, node))
    if name in PADS:
        return padded(node, module, below)
    return below if is_pointwise(traced, node, name, axes) else None


def union(reads: list[Reach | None]) -> Reach | None:
    """What several tensors see together."""
    whole = reads[0] if reads else None
    for other in reads[1:]:
        whole = whole.along(other) if whole is not None and other is not None else None
    return whole


def window(traced: Traced, node: fx.Node) -> tuple[Pair, Pair, Pair, Pair]:
    """Kernel, stride, padding before it and dilation of an operation that slides a window."""
    module = traced.submodule(node)
    given: dict[str, Any] = dict(node.kwargs)
    if module is not None:
        given = {key: getattr(module, key) for key in ("kernel_size", "stride", "padding", "dilation") if hasattr(module, key)}
    else:
        given |= dict(zip(WINDOWS[traced.operation(node)].split(" "), node.args, strict=False))
    weight = given.get("weight")
    shape = traced.shapes[weight][-2:] if isinstance(weight, fx.Node) else getattr(weight, "shape", ())[-2:]
    kernel = pair(given.get("kernel_size", shape))
    dilation = pair(given.get("dilation", 1))
    stride = given.get("stride") or (kernel if "weight" not in given else 1)
    return kernel, pair(stride), before(given.get("padding", 0), kernel, dilation), dilation


def before(padding: Any, kernel: Pair, dilation: Pair) -> Pair:
    """Rows and cols of padding before a map; of an odd number in all, 'same' puts the larger part behind it."""
    if padding == "same":
        return reach(kernel, dilation, 0) // 2, reach(kernel, dilation, 1) // 2
    return (0, 0) if padding == "valid" else pair(padding)


def padded(node: fx.Node, module: nn.Module | None, below: Reach) -> Reach | None:
    """A map with rows and cols put before it (left, right, top, bottom)."""
    sides: Any = getattr(module, "padding", None) or node.kwargs.get("pad") or node.args[1]
    if isinstance(sides, int):
        sides = (sides,) * 4
    if any(not isinstance(side, int) for side in sides) or any(sides[4:]):
        return below if not any(sides[:4]) else None  # channels beside the others (a shortcut without weights)
    top = sides[2] if len(sides) > 2 else 0
    return below.behind((1, 1), (1, 1), (top, sides[0]), (1, 1))


def is_pointwise(traced: Traced, node: fx.Node, name: str, axes: dict[fx.Node, int]) -> bool:
    """Whether a position of the result reads the same position alone."""
    if name in ("Linear", "linear"):
        return axes.get(node) == 2
    if name in SPLITS or name in RESHAPES or name in ("transpose", "swapaxes", "stack"):
        return keeps_positions(traced, node, axes)
    return name in POINTWISE or is_norm(traced, node) or is_activation(traced, node)


def keeps_positions(traced: Traced, node: fx.Node, axes: dict[fx.Node, int]) -> bool:
    """Whether what only moves numbers leaves rows and cols where they are."""
    ends = [map_size(traced, each, axes) for each in (node, *parents(traced, node))]
    return None not in ends and len(set(ends)) == 1


def map_size(traced: Traced, node: fx.Node, axes: dict[fx.Node, int]) -> tuple[Any, ...] | None:
    """Rows and cols of a tensor, or of the first of several; None where it is no map."""
    shape = traced.shapes[node]
    shape = shape[0] if isinstance(shape, list) and shape else shape
    if type(shape) is not tuple or len(shape) < 3 or "unbatched" in shape:
        return None
    return shape[:2] if axes.get(node) == 2 else shape[-2:]


def unit_reaches(graph: Graph, site: Site, found: dict[fx.Node, Reach | None]) -> Iterator[tuple[int, Reach | None]]:
    """(how many units, their reach), in order of the units: of a concat one for each part, else one for all."""
    yield from parts_of(graph, site.head, site.neurons, found)


def parts_of(
    graph: Graph, node: fx.Node, neurons: int, found: dict[fx.Node, Reach | None]
) -> Iterator[tuple[int, Reach | None]]:
    """The same of one tensor; a concat of concats is laid open."""
    parts: Any = (node.args[0] if node.args else node.kwargs["tensors"]) if graph.kinds[graph.of_node[node]] == "concat" else ()
    if not parts or node is not graph.of_node[node].head:
        yield neurons, found[node]
        return
    for part in parts:
        width = graph.traced.shapes[part][channel_axis(graph, node)]
        if part in graph.of_node:
            yield from parts_of(graph, part, width, found)
        else:
            yield width, found.get(part)


def channel_axis(graph: Graph, node: fx.Node) -> int:
    """The axis of the neurons of a tensor, without the batch."""
    return graph.of_node[node].axis
