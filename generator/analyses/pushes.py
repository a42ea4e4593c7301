"""The classes that a neuron pushes up and down the most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from generator.records import Pushes, Replacement

VERSION = 1

Part = tuple[np.ndarray, np.ndarray]  # float32 [class, between] and [between, unit]: what a map of ones adds to a mean


def strongest(weights: np.ndarray, count: int) -> np.ndarray:
    """The `count` classes with the largest weights above zero, for each unit of `[class, unit]`, largest first.

    int32 `[unit, rank]`; ties by the smaller class; -1 where there are no more. NaN and Inf are not weights.
    """
    left = np.ascontiguousarray(np.where(np.isfinite(weights) & (weights > 0), weights, 0).T)
    found, units = np.full((len(left), count), -1, np.int32), np.arange(len(left))
    for rank in range(min(count, len(weights))):
        best = left.argmax(axis=1)
        found[:, rank] = np.where(left[units, best] > 0, best, -1)
        left[units, best] = 0
    return found


def chosen(values: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Values `[class, unit]` of the classes `[unit, rank]`, float32 `[unit, rank]`; NaN where the class is -1."""
    taken = np.take_along_axis(values.T, np.maximum(classes, 0), 1)
    return np.where(classes >= 0, taken, np.nan).astype(np.float32)


def kept(parts: Sequence[Part], weights: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """||sum of paths|| / sum of ||path|| for the classes `[unit, rank]` of each unit, float32, NaN where the class is -1.

    A path is one neuron of a layer that the classes read.
    """
    paths = np.zeros(classes.shape)
    for matrix, leads in parts:
        sizes, least = np.abs(matrix), np.abs(leads).T  # [unit, between]
        for unit, row in enumerate(np.maximum(classes, 0)):
            paths[unit] += sizes[row] @ least[unit]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.minimum(np.abs(chosen(weights, classes)) / paths, 1).astype(np.float32)


def pushes(
    parts: Sequence[Part], count: int, classes: str, through: Sequence[str] = (), replaced: Sequence[Replacement] = ()
) -> Pushes:
    """The record of one layer.

    Args:
        parts: for each layer that the classes read their weights on it and how the units lead to it.
        count: how many classes each way.
        classes: address of their layer.
        through: modules with weights on the way, the classifier's own left out; without any each weight is a single path.
        replaced: what was made linear on the way.
    """
    weights = np.sum([matrix @ leads for matrix, leads in parts], axis=0)
    up, down = strongest(weights, count), strongest(-weights, count)
    return Pushes(
        classes,
        up,
        chosen(weights, up),
        down,
        chosen(weights, down),
        kept(parts, weights, up) if through else None,
        kept(parts, weights, down) if through else None,
        tuple(through),
        tuple(replaced),
    )
