"""The real networks that some tests read; each is skipped by name where its weights are not at hand."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from generator.graph import Graph, trace
from generator.models import LoadedModel, load_model
from generator.models.bundled import HERE, WEIGHTS
from generator.spec import ModelSpec

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "models"

REAL = {
    "bundled": ({"source": "bundled"}, HERE / WEIGHTS),
    "squeezenet": ({"source": "torchvision:squeezenet1_0"}, SHARED / "squeezenet1_0-imagenet.safetensors"),
    "vgg16": ({"source": "nets:vgg16_features"}, SHARED / "vgg16_features-hed.safetensors"),
    "resnet20": ({"source": "nets:resnet20"}, SHARED / "resnet20-cifar10.th"),
}
SIDES = {"bundled": 128, "squeezenet": 160, "vgg16": 192, "resnet20": 96}  # pixels; maps that hold the receptive fields


def missing(name: str) -> str:
    """Why a network's tests are skipped; '' where its weights are there."""
    path = REAL[name][1]
    return "" if path.is_file() else f"{name}: needs {path.name}, which is not at hand"


@cache
def real_model(name: str) -> tuple[LoadedModel, Graph]:
    """A real network, loaded and traced at its side of SIDES; skips the test where it is not at hand."""
    if missing(name):
        pytest.skip(missing(name))
    values, path = REAL[name]
    weights = {} if name == "bundled" else {"weights": str(path)}
    spec = ModelSpec(name=name, input_size=SIDES[name], **values, **weights)
    loaded = load_model(spec, ROOT / "examples")
    return loaded, trace(loaded.module, loaded.input_shape)
