"""Activations, sums, products and gates."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, fx

from generator import field as f
from generator.field import Field
from generator.linear.step import Nonlinear, Pulled, Step


def same(step: Step, field: Field) -> Pulled:
    """An operation that is the identity as it is: dropout in eval mode, contiguous, a change of float type."""
    return [(step.source, field)]


def activation(step: Step, field: Field) -> Pulled:
    """Any activation function: the identity."""
    step.replaced.append("identity")
    return [(step.source, field)]


def gated_half(step: Step, field: Field) -> Pulled:
    """GLU: its first half, the gate taken as open."""
    axis = step.arguments("input dim", dim=getattr(step.module, "dim", -1))[1] % (len(step.out) + 1)
    step.replaced.append("identity of its first half")
    size = step.size()[axis - 1]
    return [(step.source, f.embed_axis(field.dense(), axis, torch.arange(size // 2), size))]


def unbroadcast(step: Step, field: Field, node: fx.Node) -> Field:
    """The field over an operand that was broadcast to the result's shape: sums over the axes it was spread along."""
    shape, out = step.size(node), step.out
    if shape == out:
        return field
    field = field.dense()
    if len(shape) != len(out):
        raise Nonlinear("adds tensors of different numbers of axes")
    for axis, (own, wide) in enumerate(zip(shape, out, strict=True), start=1):
        if own == 1 and wide > 1:
            if field.grid == f.MEAN and axis in (field.row, field.col):
                continue
            field = field.holds(field.full.sum(axis, keepdim=True))
    if field.grid == f.SLIDING and shape[-2:] == (1, 1):
        return field.holds(field.full, offset=(0, 0))
    return field


def addition(step: Step, field: Field) -> Pulled:
    """The sum or difference of two tensors; a constant carries no weights."""
    first, second = step.node.args[0], step.node.args[1] if len(step.node.args) > 1 else step.node.kwargs["other"]
    alpha: Any = step.node.kwargs.get("alpha", 1)
    signs = (1.0, float(alpha)) if "sub" not in step.name else (1.0, -float(alpha))
    signs = signs[::-1] if step.name == "rsub" else signs
    return [
        (
            node,
            f.scale_channels(unbroadcast(step, field, node), torch.tensor(sign), 1)
            if sign != 1
            else unbroadcast(step, field, node),
        )
        for node, sign in zip((first, second), signs, strict=True)
        if isinstance(node, fx.Node) and step.depends(node)
    ]


def negation(step: Step, field: Field) -> Pulled:
    """Minus."""
    return [(step.source, f.scale_channels(field, torch.tensor(-1.0), 1))]


def product(step: Step, field: Field) -> Pulled:
    """A product with a constant, or with a gate, which is taken as open (the identity)."""
    first, second = step.node.args[:2]
    if step.depends(first) and step.depends(second):
        assert isinstance(first, fx.Node)
        assert isinstance(second, fx.Node)
        step.replaced.append("identity (gate taken as open)")
        passed = gated(step, first, second)
        opening = step.opening(second if passed is first else first) or 1.0
        return [(passed, times(step, field, opening))]
    live, other = (first, second) if step.depends(first) else (second, first)
    if not isinstance(live, fx.Node):
        raise Nonlinear("multiplies nothing that depends on the image")
    return [(live, times(step, unbroadcast(step, field, live), step.constant(other)))]


def quotient(step: Step, field: Field) -> Pulled:
    """A division by a constant."""
    first, second = step.node.args[:2]
    if step.depends(second):
        raise Nonlinear("divides by something that depends on the image")
    factor = step.constant(second)
    assert isinstance(first, fx.Node)
    return [(first, times(step, field, 1 / factor))]


def times(step: Step, field: Field, factor: Any) -> Field:
    """The field times a constant that may differ by channel but not by position (unless the whole map is read)."""
    if not isinstance(factor, Tensor):
        return f.scale_channels(field, torch.tensor(float(factor)), field.channel if field.is_hot else 1)
    if factor.numel() == 1:
        return f.scale_channels(field, factor.float().reshape(()), field.channel if field.is_hot else 1)
    shape = (1,) * (len(step.out) + 1 - factor.ndim) + tuple(factor.shape)
    moving = {field.row, field.col} - {None} if field.grid != f.WHOLE else set()
    if any(shape[axis] > 1 for axis in moving) or shape[0] > 1:  # type: ignore[index]
        raise Nonlinear("multiplies each position by a number of its own")
    wide = [axis for axis, size in enumerate(shape) if size > 1]
    if field.is_hot and wide == [field.channel]:
        return f.scale_channels(field, factor.float().reshape(-1), field.channel)
    return field.holds(field.full * factor.float().reshape(shape))


def is_gate(step: Step, node: fx.Node, other: fx.Node) -> bool:
    """A gate is spread over the map it opens, or ends in a function that squashes."""
    mine, others = step.size(node), step.size(other)
    return math.prod(mine) < math.prod(others) if mine != others else step.opening(node) is not None


def gated(step: Step, first: fx.Node, second: fx.Node) -> fx.Node:
    """Of two factors the one that is gated by the other.

    Raises:
        Nonlinear: neither, or both, look like a gate.
    """
    gates = [is_gate(step, first, second), is_gate(step, second, first)]
    if gates == [False, True]:
        return first
    if gates == [True, False]:
        return second
    raise Nonlinear("multiplies two activations of which neither is clearly a gate")
