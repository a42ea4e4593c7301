"""What a group of neurons reads and writes as a whole: squared weight, positive and negative apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from generator.records import Weights


@dataclass(frozen=True)
class Flow:
    """Squared weight between a group of neurons and every neuron of a neighbouring layer, summed over the group."""

    positive: np.ndarray  # float64 [other]: sum of the squares of positive weights; NaN where a weight is
    negative: np.ndarray  # float64 [other]: sum of the squares of negative weights

    @property
    def total(self) -> np.ndarray:
        """float64 [other]: both together, the squared norm of all kernels between the group and the neuron."""
        return self.positive + self.negative

    def among(self, others: Sequence[int]) -> tuple[float, float]:
        """Positive and negative squared weight of a group at the other end."""
        picked = list(others)
        return float(self.positive[picked].sum()), float(self.negative[picked].sum())


def flow(weights: Weights, members: Sequence[int], reading: bool, scaled: bool = False) -> Flow:
    """What the `members` of one end of a pair of layers have with each neuron of the other end.

    reading: members are units of the target, and read; otherwise inputs of the source, that write. scaled: weights are first
    multiplied by the source's own batch-norm scale, where it has one. A member that is named twice counts twice.
    """
    kernel = weights.kernel if reading else weights.kernel.swapaxes(0, 1)
    own = weights.source_scale if scaled else None
    scale = np.ones(weights.kernel.shape[1]) if own is None else np.square(own.astype(np.float64))
    positive, negative = np.zeros((2, kernel.shape[1]))
    with np.errstate(invalid="ignore"):
        for member in members:  # one at a time: a float64 copy of all of them would be large
            read = kernel[member].astype(np.float64)
            weight = scale if reading else scale[member]
            positive += weight * np.square(np.maximum(read, 0)).sum((1, 2))
            negative += weight * np.square(np.minimum(read, 0)).sum((1, 2))
    return Flow(positive, negative)
