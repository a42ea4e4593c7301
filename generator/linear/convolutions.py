"""Convolutions, transposed convolutions, linear maps: linear as they are."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from generator import field as f
from generator.field import Field
from generator.linear.step import Nonlinear, Pulled, Step, pair, spatial


def convolution(step: Step, field: Field, weight: Tensor, stride: Any, padding: Any, dilation: Any, groups: int) -> Field:
    """Any 2-d convolution; `padding` may be 'same' or 'valid'."""
    if weight.ndim != 4:
        raise Nonlinear(f"is a convolution over {weight.ndim - 2} axes; only maps of rows and cols are read")
    stride, dilation = pair(stride), pair(dilation)
    if isinstance(padding, str):
        reach = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
        padding = [r // 2 for r in reach] if padding == "same" else (0, 0)
    pulled = f.convolve_back(spatial(step, field), weight.float(), stride, pair(padding), dilation, groups)
    return f.on_map(pulled, step.size()[1:])


def fixed(step: Step, weight: Any) -> Tensor:
    """A weight given to a function, which must not depend on the image."""
    if step.depends(weight):
        raise Nonlinear("has weights that depend on the image")
    return step.constant(weight)


def conv_module(step: Step, field: Field) -> Pulled:
    """`nn.Conv2d`."""
    m = step.module
    assert isinstance(m, nn.Conv2d)
    return [(step.source, convolution(step, field, m.weight, m.stride, m.padding, m.dilation, m.groups))]


def conv_function(step: Step, field: Field) -> Pulled:
    """`functional.conv2d` with a weight that does not depend on the image."""
    names = "input weight bias stride padding dilation groups"
    x, weight, _, *rest = step.arguments(names, stride=1, padding=0, dilation=1, groups=1)
    return [(x, convolution(step, field, fixed(step, weight), *rest))]


def transposed(step: Step, field: Field, weight: Tensor, stride: Any, padding: Any, dilation: Any, groups: int) -> Field:
    """Any 2-d transposed convolution."""
    if weight.ndim != 4:
        raise Nonlinear("is a transposed convolution over other axes than rows and cols")
    dense = spatial(step, field).dense()
    pulled = f.convolve_back_transposed(dense, weight.float(), pair(stride), pair(padding), pair(dilation), groups)
    return f.on_map(pulled, step.size()[1:])


def transposed_module(step: Step, field: Field) -> Pulled:
    """`nn.ConvTranspose2d`."""
    m = step.module
    assert isinstance(m, nn.ConvTranspose2d)
    return [(step.source, transposed(step, field, m.weight, m.stride, m.padding, m.dilation, m.groups))]


def transposed_function(step: Step, field: Field) -> Pulled:
    """`functional.conv_transpose2d`."""
    names = "input weight bias stride padding output_padding groups dilation"
    x, weight, _, stride, padding, _, groups, dilation = step.arguments(names, stride=1, padding=0, groups=1, dilation=1)
    return [(x, transposed(step, field, fixed(step, weight), stride, padding, dilation, groups))]


def linear(step: Step, field: Field, weight: Tensor) -> Field:
    """A linear map of the last axis; weight `[unit, input]`."""
    axis = len(step.out)
    if field.is_hot and field.channel == axis:
        assert field.hot is not None and field.scale is not None
        rows = f.take(weight, field.hot) * field.scale[:, None]
        shape = [len(rows), *([1] * (axis - 1)), weight.shape[1]]
        return field.holds(rows.reshape(shape))
    if axis in (field.row, field.col):
        raise Nonlinear("mixes positions along the cols of a map")
    return field.holds(field.full @ weight)


def linear_module(step: Step, field: Field) -> Pulled:
    """`nn.Linear`."""
    assert isinstance(step.module, nn.Linear)
    return [(step.source, linear(step, field, step.module.weight.float()))]


def linear_function(step: Step, field: Field) -> Pulled:
    """`functional.linear` with a constant weight."""
    x, weight = step.arguments("input weight")
    return [(x, linear(step, field, fixed(step, weight).float()))]


def matmul(step: Step, field: Field) -> Pulled:
    """A product with a constant matrix on the right; two activations are attention, which has no fixed weights."""
    x, other = step.node.args[:2]
    if not step.depends(x) or step.depends(other):
        raise Nonlinear("multiplies two activations (as attention does), so it has no fixed weights")
    matrix = step.constant(other).float()
    if matrix.ndim != 2:
        raise Nonlinear("multiplies by a stack of matrices")
    return [(x, linear(step, field, matrix.T.contiguous()))]  # type: ignore[list-item]
