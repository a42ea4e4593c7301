"""Expanded weights between all neighbouring blocks of ResNet-50 against the same compositions written as bare convolutions.

python benchmarks/expansion.py [--json FILE] [--repeat N] [--threads N]

For each block: `weights_into` and `with_cancellation` on the block before it, and by hand the transposed convolutions of the
block's own kernels with batch norm folded in and the identity or the downsampling convolution added. Both give the same numbers
to 1e-5 or the program fails. Times are processor time, the least of several, taken in turn on the same number of threads.
Beside them: what one sweep holds in memory beside its result, what a checkpoint of this size costs to load, and the weights of
all convolutions of the network. Weights are random.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parents[1]))
from generator.cancellation import with_cancellation
from generator.dependence import path_digest
from generator.expand import neighbours, weights_into
from generator.graph import Graph, choose, trace
from generator.models import load_model
from generator.spec import ModelSpec

CONVOLUTIONS = ("conv1", "layer*.*.conv?", "layer*.*.downsample.0", "fc")
Figure = dict[str, Any]


def network() -> nn.Module:
    """ResNet-50 with random weights, running variances and gains."""
    torch.manual_seed(0)
    module = torchvision.models.resnet50(weights=None).eval().requires_grad_(False)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_var.uniform_(0.5, 2)
            part.weight.normal_()
    return module


def folded(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> Tensor:
    """The weight of a convolution with the scale of its batch norm."""
    return convolution.weight * (norm.weight / torch.sqrt(norm.running_var + norm.eps)).reshape(-1, 1, 1, 1)


def by_hand(block: Any) -> Tensor:
    """The kernel of a bottleneck block, of its convolutions and its identity or downsampling."""
    outer = folded(block.conv3, block.bn3)
    inner = functional.conv_transpose2d(outer, folded(block.conv2, block.bn2))
    kernel = functional.conv_transpose2d(inner, folded(block.conv1, block.bn1))
    if block.downsample is None:
        kernel[:, :, 1, 1].diagonal().add_(1)
    else:
        kernel[:, :, 1, 1] += folded(*block.downsample)[:, :, 0, 0]
    return kernel


def spent(work: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds of one call, and what it gave."""
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


def blocks_of(graph: Graph) -> list[tuple[str, str]]:
    """(source, target) of all neighbouring blocks."""
    found = neighbours(graph, choose(graph, ("layer?.?",)))
    return [(outside[0], target) for target, (outside, _) in found.items() if outside]


def compare(graph: Graph, module: nn.Module, repeat: int) -> dict[str, float]:
    """Seconds by hand, of the sweeps and of the cancellation, all blocks together; fails where the numbers differ."""
    total = dict.fromkeys(("hand", "sweep", "cancellation"), 0.0)
    for source, target in blocks_of(graph):
        block = module.get_submodule(target)
        best = dict.fromkeys(total, float("inf"))
        for _ in range(repeat):
            seconds, expected = spent(lambda block=block: by_hand(block))
            best["hand"] = min(best["hand"], seconds)
            seconds, found = spent(lambda source=source, target=target: weights_into(graph, target, [source]))
            best["sweep"] = min(best["sweep"], seconds)
            off = np.abs(found[0].kernel - expected.numpy()).max() / np.abs(expected.numpy()).max()
            if off > 1e-5:
                raise SystemExit(f"{target}: the two differ by {off:.1e}")
            del expected
            seconds, _ = spent(lambda found=found: with_cancellation(graph, found))
            best["cancellation"] = min(best["cancellation"], seconds)
        total = {key: total[key] + best[key] for key in total}
    return total


def all_convolutions(graph: Graph) -> tuple[float, float, float]:
    """Seconds for the weights of every convolution on those it reads, for their cancellation, and for their digests."""
    feeds = neighbours(graph, choose(graph, CONVOLUTIONS))
    sweeps = cancellation = digests = 0.0
    for target, (outside, _) in feeds.items():
        digests += spent(lambda target=target, outside=outside: path_digest(graph, target, outside))[0]
        if outside:
            seconds, found = spent(lambda target=target, outside=outside: weights_into(graph, target, outside))
            sweeps += seconds
            cancellation += spent(lambda found=found: with_cancellation(graph, found))[0]
    return sweeps, cancellation, digests


def peak(work: Callable[[], Any], key: str = "VmHWM") -> tuple[float, Any]:
    """MB that the process held at most during one call beyond what it held before, and what the call gave."""
    gc.collect()
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    result = work()
    return resident(key) - before, result


def resident(key: str) -> float:
    """MB of this process's memory, as Linux counts it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1]) / 1024


def beside_the_result(graph: Graph) -> float:
    """MB that the widest sweep and its cancellation hold at most beside their result."""

    def work() -> Any:
        return with_cancellation(graph, weights_into(graph, "layer4.2", ["layer4.1"]))[0]

    work()  # libraries keep some memory after their first call
    held, found = peak(work)
    return held - (found.kernel.nbytes + found.cancellation.nbytes) / 2**20


def loading(module: nn.Module) -> float:
    """MB that loading the network from a file holds at most, over the size of the file; mapped pages included."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pt"
        torch.save(module.state_dict(), path)
        with ProcessPoolExecutor(1, get_context("spawn")) as fresh:  # whose memory nobody has used before
            return fresh.submit(loaded_from, path).result() / (path.stat().st_size / 2**20)


def loaded_from(path: Path) -> float:
    """MB that loading the network from a file holds at most."""
    return peak(lambda: load_model(ModelSpec(name="a", source="torchvision:resnet50", weights=str(path)), path.parent))[0]


def figure(name: str, value: float, goal: float | None, unit: str, note: str = "") -> Figure:
    """One measured figure."""
    return {"name": name, "value": round(value, 3), "goal": goal, "unit": unit, "note": note}


def measure(repeat: int, threads: int) -> list[Figure]:
    """All figures."""
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    module = network()
    graph = trace(module, (3, 224, 224))
    memory = beside_the_result(graph)
    took = compare(graph, module, repeat)
    hand, whole = took["hand"], took["sweep"] + took["cancellation"]
    sweeps, cancellation, digests = all_convolutions(graph)
    said = f"{hand:.2f} s by hand, {took['sweep']:.2f} s swept, {took['cancellation']:.2f} s cancellation; threads: {threads}"
    return [
        figure("expanded weights of blocks and cancellation, over bare convolutions", whole / hand, 3, "x", said),
        figure("expanded weights of blocks alone, over bare convolutions", took["sweep"] / hand, 3, "x"),
        figure("memory of the widest sweep beside its result", memory, 100, "MB"),
        figure("memory while a checkpoint is loaded, over its size", loading(module), None, "x", "mapped pages included"),
        figure("weights of all convolutions", sweeps, None, "s", f"{cancellation:.2f} s cancellation, {digests:.2f} s digests"),
    ]


def main() -> None:
    """Print the figures, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    figures = measure(options.repeat, options.threads)
    for each in figures:
        goal = "" if each["goal"] is None else f"goal {each['goal']:g}"
        print(f"{each['name']:74} {each['value']:8.3f} {each['unit']:3} {goal:9} {each['note']}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
