"""Operations that only move numbers: concat, slice, pad, view, permute."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx

from generator import field as f
from generator.field import Field
from generator.linear.step import Nonlinear, Pulled, Step


def concat(step: Step, field: Field) -> Pulled:
    """Several tensors side by side: each gets its slice."""
    tensors, dim = step.arguments("tensors dim", dim=0)
    dim = step.node.kwargs.get("axis", dim)
    axis = dim % (len(step.out) + 1)
    if not isinstance(tensors, list | tuple):
        raise Nonlinear("lays side by side the parts of one list; write them out one by one")
    if axis == 0 or (axis in (field.row, field.col) and field.grid != f.WHOLE):
        raise Nonlinear("lays tensors side by side along another axis than the channels")
    pulled, start = [], 0
    for node in tensors:
        width = step.size(node)[axis - 1]
        if step.depends(node):
            pulled.append((node, f.slice_axis(field, axis, start, start + width)))
        start += width
    return pulled


def part_of(step: Step, field: Field) -> Pulled:
    """`x[...]` of a tensor, or one of the parts that chunk, split or unbind gave."""
    x, index = step.node.args
    number: Any = index
    assert isinstance(x, fx.Node)
    if isinstance(step.shapes[x], list):
        return [part_of_split(step, field, x, int(number))]
    return [(x, index_back(step, field.dense(), index, step.size(x)))]


def part_of_split(step: Step, field: Field, parts: fx.Node, number: int) -> tuple[fx.Node, Field]:
    """One part of a tensor that was cut along an axis."""
    name = parts.target if isinstance(parts.target, str) else getattr(parts.target, "__name__", "")
    if name not in ("chunk", "split", "tensor_split"):
        raise Nonlinear(f"takes one of several results of '{name or parts.target}'")
    whole = parts.args[0]
    assert isinstance(whole, fx.Node)
    dim: Any = parts.kwargs.get("dim", parts.args[2] if len(parts.args) > 2 else 0)
    axis = dim % (len(step.size(whole)) + 1)
    if axis == 0 or axis in (field.row, field.col):
        raise Nonlinear("cuts a map along its rows or cols")
    sizes = [shape[axis - 1] for shape in step.shapes[parts]]
    start = sum(sizes[:number])
    index = torch.arange(start, start + sizes[number])
    return whole, f.embed_axis(field.dense(), axis, index, step.size(whole)[axis - 1])


def index_back(step: Step, field: Field, index: Any, shape: tuple[int, ...]) -> Field:
    """The reverse of indexing with slices, whole numbers, None and one Ellipsis; `shape` of the indexed tensor."""
    items = list(index) if isinstance(index, tuple) else [index]
    if not all(i is None or i is Ellipsis or isinstance(i, int | slice) for i in items):
        raise Nonlinear("picks positions by a list or a tensor")
    axes = len([i for i in items if i is not None and i is not Ellipsis])
    if Ellipsis in items:
        place = items.index(Ellipsis)
        items[place : place + 1] = [slice(None)] * (len(shape) + 1 - axes)
    items += [slice(None)] * (len(shape) + 1 - len([i for i in items if i is not None]))
    if items[0] != slice(None):
        raise Nonlinear("picks single images of the batch")
    return undo_items(field, items[1:], shape)


def undo_items(field: Field, items: list[Any], shape: tuple[int, ...]) -> Field:
    """`index_back`, one axis after the other; a None in `items` added an axis, a number took one away."""
    plain: list[Any] = []
    for item in items:
        axis = len(plain) + 1
        if item is None:
            field = drop_axis(field, axis)
            continue
        if isinstance(item, int):
            field = new_axis(field, axis)
        plain.append(item)
    steps, starts = [1, 1], [0, 0]
    for axis, item in enumerate(plain, start=1):
        size = shape[axis - 1]
        start, stop, step = (item % size, item % size + 1, 1) if isinstance(item, int) else item.indices(size)
        if axis in (field.row, field.col) and field.grid != f.WHOLE:
            if isinstance(item, int):
                raise Nonlinear("picks one row or col of a map")
            place = 0 if axis == field.row else 1
            steps[place], starts[place] = step, start
        elif (start, stop, step) != (0, size, 1):
            field = f.embed_axis(field, axis, torch.arange(start, stop, step), size)
    if field.row is not None and field.grid == f.SLIDING and (steps, starts) != ([1, 1], [0, 0]):
        field = f.spread(field, steps, starts)
    return field


def moved(field: Field, row: int | None, col: int | None, values: Tensor) -> Field:
    """The field with other values whose rows and cols lie on other axes."""
    return field.holds(values, row=row, col=col)


def new_axis(field: Field, axis: int) -> Field:
    """A new axis of size one before `axis`."""
    shift = [None if a is None else a + (a >= axis) for a in (field.row, field.col)]
    return moved(field, shift[0], shift[1], field.full.unsqueeze(axis))


def drop_axis(field: Field, axis: int) -> Field:
    """Take away an axis of size one."""
    if axis in (field.row, field.col):
        raise Nonlinear("adds an axis where the map's rows and cols are")
    shift = [None if a is None else a - (a > axis) for a in (field.row, field.col)]
    return moved(field, shift[0], shift[1], field.full.squeeze(axis))


def pad(step: Step, field: Field) -> Pulled:
    """Padding: of rows and cols a shift (away from the border every mode is alike), of channels a slice."""
    m = step.module
    given = {"pad": getattr(m, "padding", None)}
    x, pads = step.arguments("input pad", **given)
    pads = list(pads) if isinstance(pads, Sequence) else [pads] * 4
    field, shape = field.dense(), step.size(x)
    offset = list(field.offset)
    for place in range(len(pads) // 2):
        axis, before = len(shape) - place, pads[2 * place]
        if axis in (field.row, field.col) and field.grid != f.WHOLE:
            offset[0 if axis == field.row else 1] -= before
        elif (before, pads[2 * place + 1]) != (0, 0):
            field = pad_plain(field, axis, before, shape[axis - 1])
    return [(x, field.holds(field.full, offset=tuple(offset)))]


def pad_plain(field: Field, axis: int, before: int, size: int) -> Field:
    """The reverse of padding (or, where negative, cutting) a plain axis by `before` places."""
    if axis == 0:
        raise Nonlinear("pads the batch")
    cut = field.full[(slice(None),) * axis + (slice(max(before, 0), max(before, 0) + size + min(before, 0)),)]
    if cut.shape[axis] == size:
        return field.holds(cut)
    start = max(-before, 0)
    return f.embed_axis(field.holds(cut), axis, torch.arange(start, start + cut.shape[axis]), size)


def reshape(step: Step, field: Field) -> Pulled:
    """View, reshape, flatten, squeeze, unsqueeze: the same numbers under other axes."""
    x = step.source
    if step.node.args and not step.depends(x):
        raise Nonlinear("reshapes nothing that depends on the image")
    return [(x, reshape_back(field.dense(), step.out, step.size(x)))]


def reshape_back(field: Field, out: tuple[int, ...], shape: tuple[int, ...]) -> Field:
    """The field over a tensor of `shape` of which the field's tensor, of shape `out`, is a view."""
    if field.row is not None and field.col is not None:
        place = keep_map(out, shape, field.row - 1, field.col - 1)
        if place is not None:
            sizes = list(shape)
            sizes[place[0]], sizes[place[1]] = field.full.shape[field.row], field.full.shape[field.col]
            return moved(field, place[0] + 1, place[1] + 1, field.full.reshape(-1, *sizes))
    try:
        flat = f.as_flat(field, out)
    except ValueError as reason:
        raise Nonlinear(f"{reason}") from None
    return flat.holds(flat.full.reshape(-1, *shape))


def keep_map(out: tuple[int, ...], shape: tuple[int, ...], row: int, col: int) -> tuple[int, int] | None:
    """Axes of `shape` that are the rows and cols of `out` untouched, if a view keeps them."""
    for r in range(len(shape)):
        for c in range(r + 1, len(shape)):
            same_sizes = shape[r] == out[row] and shape[c] == out[col]
            before = math.prod(shape[:r]) == math.prod(out[:row])
            between = math.prod(shape[r + 1 : c]) == math.prod(out[row + 1 : col])
            if same_sizes and before and between:
                return r, c
    return None


def permute_by(step: Step, field: Field, order: Sequence[int]) -> Pulled:
    """Axes in another order; `order[i]` is the input axis that becomes axis i, the batch being axis 0."""
    order = [a % (len(step.out) + 1) for a in order]
    if order[0] != 0:
        raise Nonlinear("moves the batch axis")
    back = [order.index(axis) for axis in range(len(order))]
    field = field.dense()
    where = [None if a is None else order[a] for a in (field.row, field.col)]
    return [(step.source, moved(field, where[0], where[1], field.full.permute(back)))]


def permute(step: Step, field: Field) -> Pulled:
    """`permute`."""
    rest: Any = getattr(step.module, "dims", None) or step.node.kwargs.get("dims") or step.node.args[1:]
    order = rest[0] if len(rest) == 1 and isinstance(rest[0], Sequence) else rest
    return permute_by(step, field, [int(a) for a in order])


def transpose(step: Step, field: Field) -> Pulled:
    """`transpose` of two axes."""
    _, one, other = step.arguments("input dim0 dim1")
    order = list(range(len(step.out) + 1))
    order[one], order[other] = order[other], order[one]
    return permute_by(step, field, order)


def shuffle(step: Step, field: Field) -> Pulled:
    """Channel shuffle: channel j * groups + i of the result is channel i * (channels / groups) + j."""
    groups = getattr(step.module, "groups", None) or step.arguments("input groups")[1]
    channels = step.out[0]
    index = torch.arange(channels).reshape(groups, channels // groups).T.reshape(-1)
    return [(step.source, f.embed_axis(field.dense(), 1, index, channels))]
