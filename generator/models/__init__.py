"""From a model's part in the spec to a module with weights, ready to be traced.

A kind of source is a module with a function `load(spec, folder)`; to add one, write the module and its tests, and add a line
to KINDS.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from generator.errors import ModelError
from generator.models import bundled, imported, torchvision
from generator.models.built import Built, ModelSpec
from generator.models.checkpoints import wanted_tensors
from generator.records import Provenance

KINDS = {
    "bundled": bundled,
    "torchvision": torchvision,
    "imported": imported,
}


@dataclass(frozen=True)
class LoadedModel:
    """A model with its weights and where they came from."""

    name: str  # as the spec names it
    module: nn.Module  # eval mode, float32, on the CPU, requires_grad off
    input_shape: tuple[int, int, int]  # channels, rows, cols
    class_names: tuple[str, ...]  # of the classifier's units; () if unknown
    provenance: Provenance
    notes: tuple[str, ...] = ()  # plain sentences on the checkpoint: where in the file, what was left out, NaN
    mean: tuple[float, ...] | None = None  # what its images, in 0..1, are normalized by, for each channel; None if unknown
    std: tuple[float, ...] | None = None
    looks: Path | None = None  # a folder of feature visualizations of just these weights; see `context.looks`


def load_model(spec: ModelSpec, folder: Path) -> LoadedModel:
    """Build the model that `spec` describes; files it names lie relative to `folder`, the spec's own.

    Random weights come from one seed, and the caller's random numbers stay as they were. Raises ModelError, one mistake each,
    beginning with the model's name.
    """
    try:
        built = KINDS[kind_of(spec.source)].load(spec, folder)
        module = _prepared(built, spec)
    except ModelError as error:
        raise ModelError(f"{spec.name}: {error}") from error.__cause__
    versions = (("torch", str(torch.__version__)), ("torchvision", torchvision.VERSION))
    provenance = Provenance(spec.source, built.weights, digest(module), versions)
    shape = input_shape(spec.input_size, built.input_shape)
    return LoadedModel(spec.name, module, shape, built.class_names, provenance, built.notes, built.mean, built.std, built.looks)


def kind_of(source: str) -> str:
    """The key of KINDS for a source as the spec writes it. Raises ModelError."""
    if source == "bundled":
        return "bundled"
    before, colon, after = source.partition(":")
    if not (before and colon and after):
        raise ModelError(f"'{source}' is no source; write bundled, torchvision:NAME or package.module:callable")
    return "torchvision" if before == "torchvision" else "imported"


def input_shape(size: int | Sequence[int] | None, default: tuple[int, int, int]) -> tuple[int, int, int]:
    """(channels, rows, cols) from a spec's input size: nothing, pixels of a square, (rows, cols), or all three."""
    if size is None:
        return default
    given = (size, size) if isinstance(size, int) else tuple(size)
    channels, rows, cols = (*default[: 3 - len(given)], *given)
    return channels, rows, cols


def digest(module: nn.Module) -> str:
    """SHA-256, as hex, of a module's weights as used.

    Over every floating-point parameter and persistent buffer (a batch norm's mean and variance too), sorted by name: the name
    in UTF-8, a zero byte, the shape as decimals joined by 'x', a zero byte, the numbers as little-endian float32 in C order.
    """
    sha = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        if isinstance(tensor, torch.Tensor) and tensor.is_floating_point():
            sha.update(f"{name}\0{'x'.join(map(str, tensor.shape))}\0".encode())
            sha.update(tensor.detach().cpu().contiguous().numpy().astype("<f4", copy=False).reshape(-1).data)
    return sha.hexdigest()


def _prepared(built: Built, spec: ModelSpec) -> nn.Module:
    wanted_tensors(built.module, spec.source)
    return built.module.to("cpu", torch.float32).eval().requires_grad_(False)
