"""A field: how each unit of the target reads one tensor of the graph, pulled back so far.

The weights between two layers are found by pulling a field back from the target, one linear operation at a time, on a grid
without borders: a convolution's pull-back is the transposed convolution, whose support grows to just the receptive field.
The three grids are those of `records.Weights.grid`; a fourth, 'flat', is a tensor without rows and columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

SLIDING, WHOLE, MEAN, FLAT = "sliding", "whole map", "mean", "flat"


@dataclass(frozen=True)
class Field:
    """Values `[unit, *axes of the tensor without its batch]`, rows and cols being those of the kernel, not of the map.

    `values[..., r, c]` belongs to position (offset + (r, c)) of the tensor's map. A one-hot field is kept as the channel each
    unit reads and its scale, so that the first convolution only selects rows of its weight.
    """

    values: Tensor | None  # [unit, axis, ...]; None while one-hot
    grid: str
    row: int | None = None  # axis of `values` that is the row, the column; None with 'flat'
    col: int | None = None
    offset: tuple[int, int] = (0, 0)
    stride: tuple[Fraction, Fraction] = (Fraction(1), Fraction(1))  # positions of this map per position of the target
    hot: Tensor | None = None  # int64 [unit]: the one channel each unit reads
    scale: Tensor | None = None  # float32 [unit]
    shape: tuple[int, ...] = ()  # of `values` without its unit, for a one-hot field
    channel: int = 1  # axis of `values` that is the channel, for a one-hot field

    def dense(self) -> Field:
        """The same field with its values written out."""
        if self.values is not None:
            return self
        assert self.hot is not None and self.scale is not None
        units = len(self.hot)
        flat = torch.zeros(units, self.shape[self.channel - 1])
        flat[torch.arange(units), self.hot] = self.scale
        sizes = [units, *(1 for _ in self.shape)]
        sizes[self.channel] = flat.shape[1]
        return replace(self, values=flat.reshape(sizes), hot=None, scale=None)

    @property
    def full(self) -> Tensor:
        """The values, written out."""
        values = self.dense().values
        assert values is not None
        return values

    def holds(self, values: Tensor, **changes: object) -> Field:
        """This field with other values (and no longer one-hot)."""
        return replace(self, values=values, hot=None, scale=None, **changes)  # type: ignore[arg-type]

    @property
    def is_hot(self) -> bool:
        """Whether the field is one-hot."""
        return self.values is None


def one_hot(units: Tensor, shape: Sequence[int], channel: int, centre: tuple[int, int]) -> Field:
    """Each unit reads itself, at the map's centre: the start of every sweep. `shape` and `channel` without the batch axis."""
    spatial = len(shape) == 3
    rest = [axis + 1 for axis in range(len(shape)) if axis != channel]
    return Field(
        None,
        SLIDING if spatial else FLAT,
        rest[0] if spatial else None,
        rest[1] if spatial else None,
        centre if spatial else (0, 0),
        hot=units,
        scale=torch.ones(len(units)),
        shape=tuple(shape),
        channel=channel + 1,
    )


def add(one: Field, other: Field) -> Field:
    """The sum of two fields of one tensor, on the union of their supports.

    Raises:
        ValueError: one reads position by position, the other the map as a whole.
    """
    if one.grid != other.grid or one.stride != other.stride:
        raise ValueError(f"is read both by '{one.grid}' and by '{other.grid}' paths")
    if one.row is None or one.col is None:
        return one.holds(one.full + other.full)
    first, size = union(one, other)
    wide, more = (other, one) if one.is_hot else (one, other)
    summed = fit(wide, first, size)
    values = summed.full.clone() if summed is wide else summed.full  # a field may be held by two branches, so never in place
    rows, cols = (slice(a - b, a - b + n) for a, b, n in zip(more.offset, first, extent(more), strict=True))
    if more.hot is not None and more.scale is not None and more.channel not in (more.row, more.col):
        place: list[Any] = [torch.arange(len(more.hot)), *[0] * (values.ndim - 1)]
        place[more.channel], place[one.row], place[one.col] = more.hot, rows.start, cols.start
        values[tuple(place)] += more.scale
        return one.holds(values, offset=first)
    part = values.narrow(one.row, rows.start, rows.stop - rows.start).narrow(one.col, cols.start, cols.stop - cols.start)
    part += more.full
    return one.holds(values, offset=first)


def extent(field: Field) -> tuple[int, int]:
    """Rows and cols of a field's kernel."""
    assert field.row is not None and field.col is not None
    return (1, 1) if field.values is None else (field.values.shape[field.row], field.values.shape[field.col])


def union(one: Field, other: Field) -> tuple[tuple[int, int], tuple[int, int]]:
    """First position and size of the smallest rectangle that holds the supports of both."""
    pairs = list(zip(one.offset, other.offset, extent(one), extent(other), strict=True))
    first = [min(a, b) for a, b, _, _ in pairs]
    last = [max(a + n, b + m) for a, b, n, m in pairs]
    return (first[0], first[1]), (last[0] - first[0], last[1] - first[1])


def fit(field: Field, first: tuple[int, int], size: tuple[int, int]) -> Field:
    """The field cut or padded with zeros to the positions `first` to `first + size - 1`; itself if it holds just these."""
    if field.offset == first and extent(field) == size:
        return field
    assert field.row is not None and field.col is not None
    values = field.full
    pads = [0] * (2 * values.ndim)
    for axis, start, begin, length in zip((field.row, field.col), field.offset, first, size, strict=True):
        before, after = start - begin, begin + length - start - values.shape[axis]
        place = 2 * (values.ndim - 1 - axis)
        pads[place], pads[place + 1] = before, after
    return field.holds(functional.pad(values, pads), offset=first)


def on_map(field: Field, size: Sequence[int]) -> Field:
    """A 'whole map' field cut or padded to the map itself; any other field as it is."""
    return fit(field, (0, 0), (size[0], size[1])) if field.grid == WHOLE else field


def as_map(field: Field) -> Field:
    """A flat field over `[unit, channel, row, col]` values taken as a field over the whole map."""
    if field.row is not None:
        return field
    return field.holds(field.full, grid=WHOLE, row=2, col=3, offset=(0, 0))


def as_flat(field: Field, shape: Sequence[int]) -> Field:
    """A field without rows and cols of its own: exact positions on a map of known size, `shape` without the batch.

    Raises:
        ValueError: a sliding field cannot be laid out as one vector.
    """
    if field.row is None:
        return field.dense()
    size = (shape[field.row - 1], shape[field.col - 1])  # type: ignore[operator]
    if field.grid == WHOLE or size == (1, 1):
        cut = fit(field, (0, 0), size) if field.grid != MEAN else field
        return cut.holds(cut.full, grid=FLAT, row=None, col=None, offset=(0, 0))
    raise ValueError("lays a map out as one vector, so its positions are not read alike")


def scale_channels(field: Field, factor: Tensor, axis: int) -> Field:
    """Multiply by a factor for each channel; `factor` `[channel]` or a single number, `axis` of `values`."""
    if field.is_hot and field.channel == axis:
        assert field.scale is not None and field.hot is not None
        chosen = factor.expand(field.shape[axis - 1])[field.hot] if factor.ndim else factor
        return replace(field, scale=field.scale * chosen)
    shape = [1] * field.full.ndim
    shape[axis] = -1
    return field.holds(field.full * factor.reshape(shape))


def slice_axis(field: Field, axis: int, start: int, stop: int) -> Field:
    """The part of a field that belongs to positions `start` to `stop - 1` of one plain axis of `values`."""
    if field.is_hot and field.channel == axis:
        assert field.hot is not None and field.scale is not None
        inside = (field.hot >= start) & (field.hot < stop)
        shape = (*field.shape[: axis - 1], stop - start, *field.shape[axis:])
        hot = torch.where(inside, field.hot - start, 0)
        return replace(field, hot=hot, scale=field.scale * inside, shape=shape)
    return field.holds(field.full.narrow(axis, start, stop - start))


def embed_axis(field: Field, axis: int, index: Tensor, size: int) -> Field:
    """The reverse of a selection: put the values of one plain axis at `index` among `size` places, zero elsewhere."""
    values = field.full
    shape = list(values.shape)
    shape[axis] = size
    return field.holds(values.new_zeros(shape).index_copy(axis, index, values))


def blank(values: Tensor, shape: Sequence[int]) -> Tensor:
    """Zeros of a shape, laid out in memory as `values` are: channels last or not."""
    last = values.ndim == 4 and channels_last(values)
    return torch.empty(tuple(shape), memory_format=torch.channels_last if last else torch.contiguous_format).zero_()


def channels_last(values: Tensor) -> bool:
    """Whether the numbers of a position lie side by side in memory, as a 1 x 1 convolution wants them."""
    return values.is_contiguous(memory_format=torch.channels_last)


def spread(field: Field, step: Sequence[int], start: Sequence[int]) -> Field:
    """The reverse of taking every `step`-th position from `start` on: zeros between the kernel's positions."""
    assert field.row is not None and field.col is not None
    values = field.full
    for axis, gap in zip((field.row, field.col), step, strict=True):
        if gap > 1 and values.shape[axis] > 1:
            wide = list(values.shape)
            wide[axis] = (wide[axis] - 1) * gap + 1
            index = torch.arange(values.shape[axis]) * gap
            values = values.new_zeros(wide).index_copy(axis, index, values)
    offset = (field.offset[0] * step[0] + start[0], field.offset[1] * step[1] + start[1])
    stride = (field.stride[0] * step[0], field.stride[1] * step[1])
    return field.holds(values, offset=offset, stride=stride)


def convolve_back(
    field: Field, weight: Tensor, stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int], groups: int
) -> Field:
    """Pull back through a convolution with weight `[unit, input / groups, row, col]`; values `[unit, channel, row, col]`."""
    if field.grid == MEAN:
        weight, stride, padding, dilation = weight.sum((2, 3), keepdim=True), (1, 1), (0, 0), (1, 1)
    values = field.full if not field.is_hot else None
    if values is None:
        # A single position reads the bare kernel: only dilation spreads it.
        values = spread_out(field, select_rows(field, weight, groups), dilation)
    elif tuple(weight.shape[2:]) == (1, 1) and groups == 1:
        values = spread_out(field, mix_channels(values, weight[:, :, 0, 0]), stride)
    elif tuple(values.shape[2:]) == (1, 1) and (groups == 1 or groups == weight.shape[0]):
        values = spread_out(field, from_one_position(values, weight, groups), dilation)
    else:
        values = values.contiguous()
        values = functional.conv_transpose2d(values, weight, stride=tuple(stride), dilation=tuple(dilation), groups=groups)
    offset = (field.offset[0] * stride[0] - padding[0], field.offset[1] * stride[1] - padding[1])
    steps = (field.stride[0] * stride[0], field.stride[1] * stride[1])
    return field.holds(values, offset=offset, stride=steps)


def spread_out(field: Field, values: Tensor, step: Sequence[int]) -> Tensor:
    """`spread` of bare values."""
    return values if tuple(step) == (1, 1) else spread(field.holds(values), step, (0, 0)).full


def mix_channels(values: Tensor, weight: Tensor) -> Tensor:
    """A 1 x 1 convolution with weight `[unit, input]` pulled back: one product of matrices, channels last in memory."""
    units, _, rows, cols = values.shape
    lines = values.permute(0, 2, 3, 1).reshape(units * rows * cols, -1)
    return (lines @ weight).reshape(units, rows, cols, -1).permute(0, 3, 1, 2)


def from_one_position(values: Tensor, weight: Tensor, groups: int) -> Tensor:
    """A field of one position through a convolution, dense or depthwise: a weighted sum of its kernels."""
    outs, width, rows, cols = weight.shape
    if groups > 1 and width > 1:
        return functional.conv_transpose2d(values, weight, groups=groups)
    if groups > 1:
        return values * weight[:, 0]
    lines = values.reshape(-1, outs) @ weight.permute(0, 2, 3, 1).reshape(outs, -1)
    return lines.reshape(-1, rows, cols, width).permute(0, 3, 1, 2)


def select_rows(field: Field, weight: Tensor, groups: int) -> Tensor:
    """A one-hot field through a convolution: the weight of the channel each unit reads, `[unit, input, row, col]`."""
    assert field.hot is not None and field.scale is not None
    rows = take(weight, field.hot) * field.scale.reshape(-1, 1, 1, 1)
    if groups == 1:
        return rows
    width = weight.shape[1]
    values = weight.new_zeros(len(rows), width * groups, *weight.shape[2:])
    group = field.hot // (weight.shape[0] // groups)
    index = (group * width).reshape(-1, 1) + torch.arange(width)
    return values.scatter_(1, index.reshape(len(rows), width, 1, 1).expand_as(rows), rows)


def take(weight: Tensor, rows: Tensor) -> Tensor:
    """Rows of a weight, to be read only: a view of it where they follow each other, as they do in most sweeps."""
    if rows.is_meta:
        return weight[rows]
    first, count = int(rows[0]), len(rows)
    if first + count <= len(weight) and bool((rows == torch.arange(first, first + count)).all()):
        return weight[first : first + count]
    return weight[rows]


def convolve_back_transposed(
    field: Field, weight: Tensor, stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int], groups: int
) -> Field:
    """Pull back through a transposed convolution with weight `[input, unit / groups, row, col]`.

    Its kernel depends on where a position lies between two source positions; the field's own position decides.
    """
    if field.grid == MEAN:
        # A constant map in gives, on average over the phases, the sum of the taps over the upsampling.
        bare = weight.sum((2, 3), keepdim=True) / (stride[0] * stride[1])
        return field.holds(functional.conv2d(field.full, bare, groups=groups))
    values = field.full
    pads, offset = [], []
    for axis in (0, 1):
        start, size, reach = field.offset[axis], values.shape[2 + axis], dilation[axis] * (weight.shape[2 + axis] - 1)
        first = -((reach - padding[axis] - start) // stride[axis])
        last = (start + size - 1 + padding[axis]) // stride[axis]
        begin, end = first * stride[axis] - padding[axis], last * stride[axis] - padding[axis] + reach
        pads.append((start - begin, end + 1 - start - size))
        offset.append(first)
    padded = functional.pad(values, [*pads[1], *pads[0]])
    values = functional.conv2d(padded, weight, stride=tuple(stride), dilation=tuple(dilation), groups=groups)
    steps = (field.stride[0] / stride[0], field.stride[1] / stride[1])
    return field.holds(values, offset=(offset[0], offset[1]), stride=steps)


def pool_back(
    field: Field, window: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int], weight: float
) -> Field:
    """Pull back through a pool that sums `weight` times its window; values `[unit, channel, row, col]`."""
    if field.grid == MEAN:
        return field.holds(field.full * (weight * window[0] * window[1]))
    values = field.full * weight
    for axis in (0, 1):
        values = box(values, 2 + axis, window[axis], stride[axis], dilation[axis])
    offset = (field.offset[0] * stride[0] - padding[0], field.offset[1] * stride[1] - padding[1])
    steps = (field.stride[0] * stride[0], field.stride[1] * stride[1])
    return field.holds(values, offset=offset, stride=steps)


def box(values: Tensor, axis: int, window: int, stride: int, dilation: int) -> Tensor:
    """The reverse of a running sum along one axis: every position spread over its window."""
    count, shape = values.shape[axis], list(values.shape)
    shape[axis] = (count - 1) * stride + (window - 1) * dilation + 1
    spread_over = blank(values, shape)
    for place in range(window):
        start = place * dilation
        index = [slice(None)] * values.ndim
        index[axis] = slice(start, start + (count - 1) * stride + 1, stride)
        spread_over[tuple(index)] += values
    return spread_over


def resample_back(field: Field, rows: Tensor, cols: Tensor) -> Field:
    """Pull a 'whole map' field back through `out = rows @ map @ cols.T`; rows `[out, in]`, cols `[out, in]`."""
    return field.holds(torch.einsum("uchw,hi,wj->ucij", field.full, rows, cols))


def constant_map(field: Field) -> Field:
    """A field that reads the mean of the map below: 1 x 1, the response to a constant map; values `[unit, channel, 1, 1]`."""
    return field.holds(field.full, grid=MEAN, row=2, col=3, offset=(0, 0), stride=(Fraction(1), Fraction(1)))
