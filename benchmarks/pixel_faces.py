"""Weights expanded to the pixels, and the classes that neurons push: time a neuron, memory and bytes.

python benchmarks/pixel_faces.py [--json FILE]

ResNet-50 with random weights at 224 pixels, every convolution, and the bundled network. Times are processor time, the least of
three. Laying kernels over kernels is held against sweeping each layer back to the pixels by itself, on the same layers in the
same run. Bytes are those of one neuron's picture, kept exactly as WebP.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
from generator.expand import weights_into
from generator.graph import Graph, choose, trace
from generator.logits import pushed_classes
from generator.models import load_model
from generator.reach import pixel_pictures
from generator.records import Pixels
from generator.spec import lone_model

CONVOLUTIONS = ("conv1", "layer*.*.conv?", "layer*.*.downsample.0", "fc")
REPEAT = 3
Figure = dict[str, Any]


def resnet50() -> Graph:
    """ResNet-50 with random weights."""
    torch.manual_seed(0)
    return trace(torchvision.models.resnet50(weights=None).eval().requires_grad_(False), (3, 224, 224))


def bundled() -> Graph:
    """The bundled network."""
    loaded = load_model(lone_model("bundled"), Path())
    return trace(loaded.module, loaded.input_shape)


def spent(work: Callable[[], Any], repeat: int = REPEAT) -> tuple[float, Any]:
    """Processor seconds of the fastest of several calls, and what it gave."""
    best, result = float("inf"), None
    for _ in range(repeat):
        started = time.process_time()
        result = work()
        best = min(best, time.process_time() - started)
    return best, result


def pictures(graph: Graph, patterns: tuple[str, ...]) -> dict[str, Pixels]:
    """The pictures of the chosen layers that have them."""
    chosen = [address for address in choose(graph, patterns) if address != "input"]
    return {address: found for address, found in pixel_pictures(graph, chosen) if isinstance(found, Pixels)}


def neurons(found: dict[str, Pixels]) -> int:
    """How many neurons have one."""
    return sum(int(each.there.sum()) for each in found.values())


def swept(graph: Graph, addresses: list[str]) -> None:
    """Every layer swept back to the input by itself."""
    for address in addresses:
        weights_into(graph, address, ["input"])


def kept_bytes(found: dict[str, Pixels]) -> float:
    """Bytes of a neuron's picture as lossless WebP: the mean over every eighth neuron."""
    sizes = []
    for each in found.values():
        for pixels in each.pixels[each.there][::8]:
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "WEBP", lossless=True)
            sizes.append(len(file.getvalue()))
    return float(np.mean(sizes))


def figure(name: str, value: float, goal: float | None, unit: str, note: str = "") -> Figure:
    """One measured figure."""
    return {"name": name, "value": round(value, 3), "goal": goal, "unit": unit, "note": note}


def measure() -> list[Figure]:
    """All figures."""
    torch.set_num_threads(1)
    found: list[Figure] = []
    for name, graph, patterns in (("ResNet-50", resnet50(), CONVOLUTIONS), ("bundled network", bundled(), ("auto",))):
        seconds, made = spent(lambda graph=graph, patterns=patterns: pictures(graph, patterns))
        alone, _ = spent(lambda graph=graph, made=made: swept(graph, list(made)), 1)
        count = neurons(made)
        note = f"{count} neurons in {seconds:.2f} s"
        found.append(figure(f"{name}: pixels, a neuron", 1000 * seconds / count, 1, "ms", note))
        found.append(figure(f"{name}: pixels, over sweeping each layer alone", seconds / alone, 1, "x", f"{alone:.2f} s"))
        found.append(figure(f"{name}: a picture, exact", kept_bytes(made), 12 * 1024, "B"))
        seconds, pushes = spent(lambda graph=graph, patterns=patterns: pushed_classes(graph, choose(graph, patterns), 5))
        count = sum(len(each.up) for each in pushes.values())
        found.append(figure(f"{name}: classes pushed, a neuron", 1000 * seconds / count, 1, "ms", f"{count} neurons"))
    return found


def main() -> None:
    """Print the figures, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures = measure()
    for each in figures:
        print(f"{each['name']:60} {each['value']:10.3f} {each['unit']:3} goal {each['goal']:<8g} {each['note']}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
