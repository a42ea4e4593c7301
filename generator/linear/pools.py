"""Pools, means over a map, and upsampling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from generator import field as f
from generator.field import Field
from generator.linear.step import Nonlinear, Pulled, Step, pair, spatial


def pool(step: Step, field: Field, window: Any, stride: Any, padding: Any, dilation: Any, weight: float) -> Field:
    """A sliding pool that sums `weight` times its window."""
    window = pair(window)
    dense = spatial(step, field).dense()
    pulled = f.pool_back(dense, window, pair(stride or window), pair(padding), pair(dilation), weight)
    return f.on_map(pulled, step.size()[1:])


def window_name(window: Any) -> str:
    """'3x3'."""
    return "x".join(map(str, pair(window)))


def max_pool(step: Step, field: Field) -> Pulled:
    """Max pool: the average pool of the same window (Voss et al. 2021, "Indirect interactions")."""
    names = "input kernel_size stride padding dilation"
    m = step.module
    given = {key: getattr(m, key) for key in names.split()[1:]} if m is not None else {"padding": 0, "dilation": 1}
    x, window, stride, padding, dilation = step.arguments(names, **given)
    step.replaced.append(f"average pool {window_name(window)}")
    return [(x, pool(step, field, window, stride, padding, dilation, 1 / math.prod(pair(window))))]


def average_pool(step: Step, field: Field) -> Pulled:
    """Average pool; away from the border every window is full."""
    names = "input kernel_size stride padding ceil_mode count_include_pad divisor_override"
    m = step.module
    given = {key: getattr(m, key) for key in names.split()[1:]} if m is not None else {"padding": 0}
    x, window, stride, padding, _, _, divisor = step.arguments(names, **given)
    return [(x, pool(step, field, window, stride, padding, 1, 1 / (divisor or math.prod(pair(window)))))]


def lp_pool(step: Step, field: Field) -> Pulled:
    """LP pool: the average pool scaled to answer a constant map alike (p = 1: its sum, as it is; p = inf: max pool's)."""
    names = "input norm_type kernel_size stride"
    m = step.module
    given = {key: getattr(m, key) for key in names.split()[1:]} if m is not None else {}
    x, power, window, stride = step.arguments(names, **given)
    area = math.prod(pair(window))
    if power != 1:
        step.replaced.append(f"average pool {window_name(window)} times {area}^(1/{power:g})")
    return [(x, pool(step, field, window, stride, 0, 1, area ** (1 / power) / area))]


def adaptive(step: Step, field: Field) -> Field:
    """An adaptive average pool: a plain one where sizes divide, the mean of a constant map where one position is left."""
    size, out = step.size()[1:], step.out[1:]
    field = spatial(step, field).dense()
    if field.grid == f.MEAN or size == out:
        return field
    if out == (1, 1):
        return f.constant_map(f.fit(field, (0, 0), (1, 1)))
    if field.grid == f.WHOLE:
        rows, cols = (adaptive_matrix(i, o) for i, o in zip(size, out, strict=True))
        return f.resample_back(field, rows, cols)
    if any(i % o for i, o in zip(size, out, strict=True)):
        raise Nonlinear(f"pools {size[0]}x{size[1]} positions to {out[0]}x{out[1]} by windows of unequal size")
    window = (size[0] // out[0], size[1] // out[1])
    return f.pool_back(field, window, window, (0, 0), (1, 1), 1 / math.prod(window))


def adaptive_matrix(size: int, out: int) -> Tensor:
    """`[out, in]` of adaptive average pooling along one axis."""
    matrix = torch.zeros(out, size)
    for place in range(out):
        start, stop = place * size // out, -(-(place + 1) * size // out)
        matrix[place, start:stop] = 1 / (stop - start)
    return matrix


def adaptive_average(step: Step, field: Field) -> Pulled:
    """Adaptive average pool."""
    return [(step.source, adaptive(step, field))]


def adaptive_max(step: Step, field: Field) -> Pulled:
    """Adaptive max pool: the adaptive average pool."""
    if step.size() != step.out:
        step.replaced.append("adaptive average pool")
    return [(step.source, adaptive(step, field))]


def reduce_axes(step: Step, field: Field) -> Pulled:
    """Mean, sum or max over axes: over rows and cols the response to a constant map, over other axes exact."""
    x, dim, keep = step.arguments("input dim keepdim", keepdim=False)
    shape = step.size(x)
    if dim is None:
        raise Nonlinear("reduces over the whole batch")
    axes = sorted(a % (len(shape) + 1) for a in (dim if isinstance(dim, Sequence) else [dim]))
    if 0 in axes:
        raise Nonlinear("reduces over the images of the batch")
    if step.name in ("amax", "max"):
        step.replaced.append("mean")
    values = field.full
    if not keep:
        for axis in axes:
            values = values.unsqueeze(axis)
    count = math.prod(shape[a - 1] for a in axes)
    weight = count if step.name == "sum" else 1.0
    if len(shape) == 3 and axes == [2, 3]:
        return [(x, f.constant_map(field.holds(values * weight)))]
    if field.row is not None:
        raise Nonlinear("reduces over the channels of a map")
    wide = [values.shape[0], *(size if axis in axes else -1 for axis, size in enumerate(shape, start=1))]
    return [(x, field.holds((values * weight / count).expand(wide).contiguous()))]


def interpolate(step: Step, field: Field) -> Pulled:
    """Nearest-neighbour upsampling by a whole number, or of a single position; other resampling is refused."""
    size, out = step.size()[1:], step.out[1:]
    mode = getattr(step.module, "mode", None) or step.arguments("input size scale_factor mode", mode="nearest")[3]
    field = spatial(step, field).dense()
    if size == out or field.grid == f.MEAN:
        return [(step.source, field)]
    if size == (1, 1):
        return [(step.source, field.holds(field.full.sum((2, 3), keepdim=True), offset=(0, 0)))]
    ratio = [o / i for o, i in zip(out, size, strict=True)]
    if mode != "nearest" or any(r != int(r) for r in ratio):
        raise Nonlinear(f"resamples {size[0]}x{size[1]} to {out[0]}x{out[1]} positions ('{mode}')")
    scale, values = (int(ratio[0]), int(ratio[1])), field.full
    single = field.holds(values.reshape(-1, 1, *values.shape[2:]))
    pulled = f.convolve_back_transposed(single, torch.ones(1, 1, *scale), scale, (0, 0), (1, 1), 1)
    return [(step.source, f.on_map(pulled.holds(pulled.full.reshape(*values.shape[:2], *pulled.full.shape[2:])), size))]
