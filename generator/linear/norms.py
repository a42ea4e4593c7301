"""Norms: batch norm is a scale per channel; the others divide by something that depends on the image, which is left out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from generator import field as f
from generator.field import Field
from generator.linear.step import Nonlinear, Pulled, Step


def channel_scale(weight: Tensor | None, variance: Tensor, eps: float) -> Tensor:
    """What batch norm in eval mode multiplies each channel by: gamma / sqrt(variance + eps); its shift is no weight."""
    scale = 1 / torch.sqrt(variance.double() + eps)
    return (scale if weight is None else scale * weight.double()).float()


def norm_scale(module: nn.Module) -> Tensor | None:
    """The scale per channel of a batch or instance norm that keeps running statistics; None for any other module."""
    if isinstance(module, nn.modules.batchnorm._NormBase) and module.running_var is not None:
        return channel_scale(module.weight, module.running_var, module.eps)
    return None


def batch_norm(step: Step, field: Field) -> Pulled:
    """Batch norm in eval mode: a scale per channel. Without running statistics it depends on the batch: its gain is kept."""
    m = step.module
    assert isinstance(m, nn.modules.batchnorm._NormBase)
    scale = norm_scale(m)
    if scale is None:
        return instance_norm(step, field)
    return [(step.source, f.scale_channels(field, scale, 1))]


def batch_norm_function(step: Step, field: Field) -> Pulled:
    """`functional.batch_norm` in eval mode."""
    names = "input running_mean running_var weight bias training momentum eps"
    x, _, variance, weight, _, training, _, eps = step.arguments(names, training=False, eps=1e-5)
    if variance is None or training:
        raise Nonlinear("normalizes by the batch itself, so its scale is not fixed")
    scale = channel_scale(None if weight is None else step.constant(weight), step.constant(variance), eps)
    return [(x, f.scale_channels(field, scale, 1))]


def gain(step: Step, field: Field, weight: Tensor | None, groups: int) -> Field:
    """A norm over whole maps: its gain; on a constant map also the centring over each group's channels.

    Its mean is taken over the whole map, so one position's part in it vanishes; its division depends on the image.
    """
    scaled = field if weight is None else f.scale_channels(field, weight.float(), 1)
    if scaled.grid == f.SLIDING:
        step.replaced.append("its gain")
        return scaled
    step.replaced.append("centring over each group times its gain")
    values = scaled.full
    grouped = values.reshape(values.shape[0], groups, -1)
    return scaled.holds((grouped - grouped.mean(2, keepdim=True)).reshape(values.shape))


def group_norm(step: Step, field: Field) -> Pulled:
    """`nn.GroupNorm`."""
    m = step.module
    assert isinstance(m, nn.GroupNorm)
    return [(step.source, gain(step, field, m.weight, m.num_groups))]


def group_norm_function(step: Step, field: Field) -> Pulled:
    """`functional.group_norm`."""
    x, groups, weight = step.arguments("input num_groups weight")
    return [(x, gain(step, field, None if weight is None else step.constant(weight), groups))]


def instance_norm(step: Step, field: Field) -> Pulled:
    """Instance norm: one group a channel."""
    weight = getattr(step.module, "weight", None)
    return [(step.source, gain(step, field, weight, step.size()[0]))]


def centring(step: Step, field: Field, weight: Tensor | None, axes: int, by: str) -> Field:
    """Layer norm over the last `axes` axes: centring over them times its gain; the division is left out."""
    values = field.full
    over = tuple(range(values.ndim - axes, values.ndim))
    if field.grid != f.WHOLE and set(over) & {field.row, field.col} - {None}:
        raise Nonlinear("normalizes over the rows and cols of a map together")
    scaled = values if weight is None else values * weight.float()
    step.replaced.append(by)
    return field.holds(scaled - scaled.mean(over, keepdim=True) if by.startswith("centring") else scaled)


CENTRED = "centring over channels times its gain"


def layer_norm(step: Step, field: Field) -> Pulled:
    """`nn.LayerNorm`."""
    m = step.module
    assert isinstance(m, nn.LayerNorm)
    return [(step.source, centring(step, field, m.weight, len(m.normalized_shape), CENTRED))]


def layer_norm_function(step: Step, field: Field) -> Pulled:
    """`functional.layer_norm`."""
    x, shape, weight = step.arguments("input normalized_shape weight")
    return [(x, centring(step, field, None if weight is None else step.constant(weight), len(shape), CENTRED))]


def rms_norm(step: Step, field: Field) -> Pulled:
    """`nn.RMSNorm`: its gain; the division is left out."""
    m: Any = step.module
    return [(step.source, centring(step, field, m.weight, len(m.normalized_shape), "its gain"))]
