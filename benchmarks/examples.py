"""Dataset examples of every neuron of the bundled network: pictures a second, and memory.

python benchmarks/examples.py [--data ZIP] [--count N] [--threads N] [--json FILE]

Two runs from the zip to the records with their crops, everything included but the loading of the model: over a tenth of
the pictures, then over all, so that memory that grows with the pictures would be seen. Beside them the bare forward pass of the
same network over as many pictures, in batches of the same size and by one thread, as processor time. Then the bytes of the
strips and sprites that pages would show. Wall-clock time depends on what else the machine does; processor time less so.
"""

from __future__ import annotations

import argparse
import copy
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from generator.context.examples import ExampleOptions, collect_examples, processors
from generator.context.images import open_images
from generator.context.visualize import Subject
from generator.graph import choose, trace
from generator.models import LoadedModel, load_model
from generator.records import Examples
from generator.spec import ModelSpec

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data" / "tiny-imagenet.zip"
MINUTES = 3.0  # the goal for 10,000 pictures on two cores
LINE = "{:<56} {:>10} {:>12}  {}"


def peak() -> float:
    """The most memory this process has held so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def pass_over(
    subject: Subject, layers: list[str], data: Path, count: int, threads: int
) -> tuple[dict[str, Examples], dict[str, float]]:
    """The records, and what they cost."""
    with tempfile.TemporaryDirectory() as folder:
        wall, work = time.perf_counter(), time.process_time()
        with open_images(data, count) as images:
            found = collect_examples(subject, layers, images, folder=Path(folder), threads=threads)
        spent = {"seconds": time.perf_counter() - wall, "work": time.process_time() - work, "peak": peak()}
        return found, spent


@torch.inference_mode()
def bare_forward(loaded: LoadedModel, count: int) -> float:
    """Processor seconds of the network alone, from a fifth of the pictures."""
    before, batch = torch.get_num_threads(), ExampleOptions().batch
    torch.set_num_threads(1)
    network = copy.deepcopy(loaded.module).to(memory_format=torch.channels_last)
    images = torch.randn(batch, *loaded.input_shape).contiguous(memory_format=torch.channels_last)
    network(images)
    rounds = max(1, count // 5 // batch)
    work = time.process_time()
    for _ in range(rounds):
        network(images)
    spent = (time.process_time() - work) * count / (rounds * batch)
    torch.set_num_threads(before)
    return spent


def measure(data: Path, count: int, threads: int) -> list[dict[str, Any]]:
    """Every figure, with its goal and what it is measured in."""
    loaded = load_model(ModelSpec(name="bundled", source="bundled"), ROOT)
    graph = trace(loaded.module, loaded.input_shape)
    layers = [address for address in choose(graph, ["auto"]) if address != "input"]
    subject = Subject(graph, loaded.provenance.sha256, loaded.mean, loaded.std)
    _, few = pass_over(subject, layers, data, count // 10, threads)
    found, whole = pass_over(subject, layers, data, count, threads)
    bare = bare_forward(loaded, count)
    neurons = sum(len(each.crops) for each in found.values())
    goal = MINUTES * 60 * count / 10_000
    told = f"{count:,} pictures, {neurons:,} neurons of {len(layers)} layers, {threads} threads"
    return [
        figure("seconds", whole["seconds"], "s", told, goal),
        figure("pictures a second", count / whole["seconds"], "1/s", told, count / goal),
        figure("processor time", whole["work"], "s", "all threads"),
        figure("processor time against the bare forward pass", whole["work"] / bare, "times", f"{bare:.1f} s"),
        figure("peak memory", whole["peak"], "MB", "torch included"),
        figure("growth with ten times the pictures", whole["peak"] - few["peak"], "MB", "of the peak"),
    ]


def figure(name: str, value: float, unit: str, note: str, goal: float | None = None) -> dict[str, Any]:
    """One figure as the table and the JSON tell it."""
    return {"name": f"examples: {name}", "value": value, "goal": goal, "unit": unit, "note": note, "more": unit == "1/s"}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=processors())
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    if not wanted.data.exists():
        print(f"{wanted.data} is not at hand: nothing measured", file=sys.stderr)
        return 0
    figures = measure(wanted.data, wanted.count, wanted.threads)
    print(LINE.format("", "measured", "goal", "unit"))
    for each in figures:
        goal = "" if each["goal"] is None else f"{each['goal']:,.1f}"
        print(LINE.format(each["name"], f"{each['value']:,.1f}", goal, f"{each['unit']}  {each['note']}"))
    if wanted.json:
        wanted.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
