"""The whole analysis of ResNet-50 against one pass of BLAS over the same kernels, in one run.

python benchmarks/analysis.py [--json FILE] [--repeat N] [--layers GLOB] [--memory]

The weights of every convolution and of the classifier are worked out beforehand (26,560 neurons and 1,000 classes, weights as
the architecture makes them: none are needed for the time). Then, layer by layer and in turns:

- the BLAS pass: the Gram matrix over positions of every neuron's picture kernel (a batched product), and the norm of every
  connection of every pair of layers;
- ours: the pictures, the statistics with the alike neurons and the order of the layer, the tables in both directions with all
  norms, their spread and their noise floor.

Caches are emptied before every turn; the turn with the median ratio is told. Times are wall-clock time; processor time stands
beside it. Threads are as the environment says (OMP_NUM_THREADS). `--memory` measures, in place of that, how much memory the
statistics and the tables of 2,048 units with 2,048 inputs of 3 x 3 take beside the kernel. Exit code 0.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from generator.analyses import nmf, spread, statistics, tables
from generator.analyses.faces import make_faces
from generator.records import LayerWeights, Statistics, Weights

GOAL = 5.0  # times the BLAS pass
SHOWN = 20  # rows of a table
STAGES = ("faces", "statistics", "tables")
SPEC = """
title: ResNet-50
models:
  - name: resnet50
    source: torchvision:resnet50
    weights: none
    input_size: 224
    layers: [conv1, "layer*.*.conv?", "layer*.*.downsample.0", fc]
"""
# What is told apart within a stage: the function that does it, by module and name.
PARTS = {
    "statistics: sums": (statistics, "_sums"),
    "statistics: streams": (statistics, "streams_of"),
    "statistics: cosines": (statistics, "cosines_with"),
    "statistics: alike": (statistics, "_most_alike"),
    "statistics: order": (statistics, "in_order"),
    "tables: norms and leans": (tables, "strengths_and_leans"),
    "tables: ranks and spread": (tables, "ranked"),
    "tables: noise floor": (tables, "noise_floor"),
}


@dataclass(frozen=True)
class Given:
    """A layer before its analysis."""

    address: str
    units: int
    held: LayerWeights  # its weights on every layer it reads, and what comes with them
    pictures: list[Weights]  # those a picture may be made of, in order of preference

    def statistics(self) -> Statistics | None:
        """The statistics of its neurons."""
        outside, held = self.held.weights[: self.held.outside], self.held
        return statistics.statistics(outside, held.bias, held.norm_scale, held.stored) if outside else None


def layers(wanted: str) -> Iterator[Given]:
    """Every layer of ResNet-50 with its weights, as the pipeline works them out."""
    import torch

    from generator import reading, survey
    from generator.spec import load_spec

    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "atlas.yaml").write_text(SPEC)
        model = load_spec(Path(folder) / "atlas.yaml").models[0]
        plan = survey.survey(model, Path(folder), "benchmark")
        graph = survey.opened_once(model, Path(folder), "benchmark").graph
    for each in (each for each in plan.layers if fnmatch(each.layer.address, wanted)):
        held = reading.layer_weights(graph, each)
        pictures = list(held.weights[: held.outside])
        for farther in each.farther:
            if not pictures or pictured(pictures):
                break
            pictures += reading.expanded_or_none(graph, each.layer.address, farther.sources)
        yield Given(each.layer.address, each.layer.neurons, held, pictures)


def blas_pass(given: Given) -> None:
    """Every neuron's Gram matrix over positions, and the norm of every connection."""
    import torch

    for each in given.pictures[:1] if (shown := pictured(given.pictures)) is None else [shown]:
        units, inputs, rows, cols = each.kernel.shape
        weights = torch.from_numpy(each.kernel).reshape(units, inputs, rows * cols)
        torch.bmm(weights.transpose(1, 2), weights)
    for each in given.held.weights:
        weights = each.kernel.reshape(*each.kernel.shape[:2], -1)
        np.sqrt(np.einsum("uip,uip->ui", weights, weights))


def pictured(candidates: list[Weights]) -> Weights | None:
    """The weights of which pictures are made: the first with positions."""
    return next((each for each in candidates if each.kernel.shape[2] * each.kernel.shape[3] > 1), None)


@dataclass
class Clock:
    """Seconds by stage, wall-clock and of the processor."""

    wall: dict[str, float] = field(default_factory=dict)
    processor: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def on(self, stage: str) -> Iterator[None]:
        """Adds the time of a block to a stage."""
        wall, processor = time.perf_counter(), time.process_time()
        yield
        self.wall[stage] = self.wall.get(stage, 0.0) + time.perf_counter() - wall
        self.processor[stage] = self.processor.get(stage, 0.0) + time.process_time() - processor

    def wrapped(self, function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        """The function, its time added to a stage."""

        def timed(*given: Any, **named: Any) -> Any:
            with self.on(stage):
                return function(*given, **named)

        return timed


@contextmanager
def parts_on(clock: Clock) -> Iterator[None]:
    """Functions of PARTS are timed while the block runs."""
    own = {stage: getattr(module, name) for stage, (module, name) in PARTS.items()}
    for stage, (module, name) in PARTS.items():
        setattr(module, name, clock.wrapped(own[stage], stage))
    try:
        yield
    finally:
        for stage, (module, name) in PARTS.items():
            setattr(module, name, own[stage])


def turn(every: list[Given]) -> Clock:
    """One turn of both over all layers."""
    clock = Clock()
    spread.draws.cache_clear()
    nmf.noise_share.cache_clear()
    with parts_on(clock):
        for given in every:
            with clock.on("BLAS"):
                blas_pass(given)
            with clock.on("faces"):
                make_faces(given.pictures, given.units)
            with clock.on("statistics"):
                given.statistics()
            with clock.on("tables"):
                for each in given.held.weights:
                    tables.pair_of(each, SHOWN)
    return clock


def ratio(clock: Clock) -> float:
    """Ours over the BLAS pass, wall-clock."""
    return sum(clock.wall[stage] for stage in STAGES) / clock.wall["BLAS"]


WIDE = (2048, 2048, 3, 3)  # unit, input, row, col


def memory() -> dict[str, float]:
    """Most bytes that arrays take at once beside a kernel of WIDE, a read-only memory map of 151 MB, by stage."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        kernel = np.lib.format.open_memmap(Path(folder) / "kernel.npy", "w+", np.float32, WIDE)
        random = np.random.default_rng(0)
        for own in kernel:
            own[:] = random.standard_normal(own.shape, dtype=np.float32)
        kernel = np.load(Path(folder) / "kernel.npy", mmap_mode="r")
        weights = Weights("below", "above", kernel, "sliding", (1, 1), (0, 0), True, (), (), "below", None, None)
        for name, stage in (
            ("statistics", lambda: statistics.statistics([weights])),
            ("tables", lambda: tables.pair_of(weights, SHOWN)),
        ):
            tracemalloc.start()
            kept = stage()
            found[name] = float(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            del kept
    return found


def print_table(clock: Clock, ratios: list[float]) -> None:
    """Where the time goes."""
    print(f"{'stage':26} {'wall s':>8} {'processor s':>12} {'x BLAS':>8}")
    names = ["BLAS", *STAGES, *sorted(PARTS)]
    for name in sorted(names, key=lambda name: (name.split(":")[0], len(name))):
        label = name if ":" not in name else f"  {name.split(': ')[1]}"
        wall, processor = clock.wall.get(name, 0.0), clock.processor.get(name, 0.0)
        print(f"{label:26} {wall:8.3f} {processor:12.3f} {wall / clock.wall['BLAS']:8.2f}")
    turns = f"turns {min(ratios):.2f} to {max(ratios):.2f}"
    print(f"\nthe whole analysis over the BLAS pass: {ratio(clock):.2f} ({turns}), goal {GOAL:g}")


def figures(clock: Clock) -> list[dict[str, Any]]:
    """What is told in JSON: the whole, and each stage without a goal of its own."""
    whole = {"name": "analysis of ResNet-50 over one BLAS pass", "value": ratio(clock), "goal": GOAL, "unit": "x"}
    processor = clock.processor
    note = ", ".join(f"{stage} {processor[stage] / processor['BLAS']:.1f}" for stage in STAGES)
    found = [{**whole, "note": f"of processor time {note}"}]
    return found + [
        {"name": f"analysis of ResNet-50: {stage}", "value": clock.wall[stage], "goal": None, "unit": "s", "note": "wall-clock"}
        for stage in ("BLAS", *STAGES)
    ]


def write(file: Path | None, found: list[dict[str, Any]]) -> None:
    """The figures as JSON, where a file is asked for."""
    if file:
        file.write_text(json.dumps(found, indent=1) + "\n")


def print_memory(found: dict[str, float]) -> None:
    """The most that each stage took."""
    for name, size in found.items():
        print(f"{name:12} {size / 1e6:8.1f} MB beside a kernel of {4 * np.prod(WIDE) / 1e6:.1f} MB")


def main() -> None:
    """Measures, prints, and writes JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--repeat", type=int, default=3, help="turns (default: 3)")
    parser.add_argument("--memory", action="store_true", help="measure memory instead")
    parser.add_argument("--layers", default="*", help="only layers whose address fits this glob")
    options = parser.parse_args()
    if options.memory:
        found = memory()
        print_memory(found)
        write(
            options.json,
            [
                {
                    "name": f"memory of {stage}",
                    "value": size / 1e6,
                    "goal": None,
                    "unit": "MB",
                    "note": "beside a kernel of 2048 units, 2048 inputs, 3x3",
                }
                for stage, size in found.items()
            ],
        )
        return
    every = list(layers(options.layers))
    clocks = sorted((turn(every) for _ in range(options.repeat)), key=ratio)
    middle = clocks[len(clocks) // 2]
    print_table(middle, [ratio(clock) for clock in clocks])
    write(options.json, figures(middle))


if __name__ == "__main__":
    main()
