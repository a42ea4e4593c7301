"""What every source of models hands back, and the dice it is built with."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import nn

SEED = 0


class ModelSpec(Protocol):
    """What a source reads of a model's part in the spec."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def source(self) -> str: ...  # noqa: D102
    @property
    def weights(self) -> str | None: ...  # noqa: D102
    @property
    def arguments(self) -> dict: ...  # noqa: D102
    @property
    def input_size(self) -> int | tuple[int, ...] | None: ...  # noqa: D102


@dataclass(frozen=True)
class Built:
    """A model as its source made it."""

    module: nn.Module
    weights: str  # file name (no path), weights enum name, or how the numbers came about: 'random (seed 0)'
    input_shape: tuple[int, int, int]  # channels, rows, cols; the spec's input size goes before it
    class_names: tuple[str, ...] = ()  # of the classifier's units; () if unknown
    notes: tuple[str, ...] = ()  # plain sentences on the checkpoint: what had no place in the model, NaN
    mean: tuple[float, ...] | None = None  # what its images, in 0..1, were normalized by, for each channel; None if unknown
    std: tuple[float, ...] | None = None
    looks: Path | None = None  # a folder of feature visualizations of just these weights; see `context.looks`


def named_weights(spec: ModelSpec) -> str | None:
    """The weights that the spec names; None where it names none: by nothing, by '' or by 'none'."""
    return None if spec.weights in (None, "", "none") else spec.weights


@contextmanager
def seeded(seed: int = SEED) -> Iterator[None]:
    """Inside, the CPU's random numbers (torch, numpy, random) start from `seed`; afterwards they go on as before."""
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    # torch.manual_seed would seed every accelerator as well, and nothing here gives those their state back.
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])
