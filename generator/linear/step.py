"""One operation of the graph, as the rules see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import fx, nn

from generator import field as f
from generator.field import Field

Pulled = list[tuple[fx.Node, Field]]


class Nonlinear(Exception):  # noqa: N818 - a reason, turned into a RefusedError by the sweep that knows the two layers
    """Why an operation has no linear stand-in here."""


@dataclass(frozen=True)
class Step:
    """One operation of the graph with what a rule needs to know about it."""

    node: fx.Node
    module: nn.Module | None  # for a module call
    name: str  # class or function name, as shown to the reader
    shapes: dict[fx.Node, Any]  # of each node: a tensor's shape without its batch, or the node's plain value
    live: frozenset[fx.Node]  # nodes whose tensor depends on the image
    constant: Callable[[Any], Any]  # the value of an argument that does not
    opening: Callable[[fx.Node], float | None]  # the value of an open gate; None for a tensor that is not squashed
    replaced: list[str]  # rules write here what they put in place of the operation

    def arguments(self, names: str, **defaults: Any) -> list[Any]:
        """The call's arguments in the order of `names`, nodes left as they are."""
        keys = names.split()
        given = dict(zip(keys, self.node.args, strict=False)) | dict(self.node.kwargs)
        return [given.get(key, defaults.get(key)) for key in keys]

    @property
    def source(self) -> fx.Node:
        """The first tensor the operation reads."""
        found = self.node.args[0] if self.node.args else next(iter(self.node.kwargs.values()))
        assert isinstance(found, fx.Node)
        return found

    def size(self, node: fx.Node | None = None) -> tuple[int, ...]:
        """Shape of a node's tensor without the batch axis; the first input's by default."""
        return self.shapes[self.source if node is None else node]

    @property
    def out(self) -> tuple[int, ...]:
        """Shape of the operation's own tensor without the batch axis."""
        return self.shapes[self.node]

    def depends(self, argument: Any) -> bool:
        """Whether an argument is a tensor that depends on the image."""
        return isinstance(argument, fx.Node) and argument in self.live


def pair(value: Any) -> tuple[int, int]:
    """A size given once or for rows and cols."""
    if isinstance(value, Sequence):
        return (int(value[0]), int(value[-1]))
    return (int(value), int(value))


def spatial(step: Step, field: Field) -> Field:
    """The field over `[unit, channel, row, col]`, as the convolutions and pools want it."""
    if len(step.out) != 3:
        raise Nonlinear(f"works on a tensor of {len(step.out) + 1} axes; only [image, channel, row, col] is a map")
    dense = field if field.is_hot and field.row is not None else f.as_map(field.dense())
    if (dense.row, dense.col) != (2, 3):
        raise Nonlinear("finds the rows and cols of the map in another order than [image, channel, row, col]")
    return dense
