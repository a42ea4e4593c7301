"""Feature visualizations beside those of torch-lucent: time for each neuron at equal objective.

python benchmarks/visualizations.py [--layers A,B] [--neurons N] [--threads N] [--environment FOLDER] [--json FILE]

Both make images of 64 x 64 pixels for neurons of the bundled network, on the CPU, with as many threads; times are the
processor's. Ours works in batches, lucent on one neuron at a time for its 512 steps. The objective is the mean of the neuron
over its map, after its activation, on the finished image, untransformed and in 256 steps. Ours is run with 20 steps, then
twice as many, until the mean over the neurons is what lucent ends with: that run's time is held against lucent's.

Lucent is given its Fourier image, its Adam and its transformations but the padding, and looks at 64 pixels: as it comes it
would enlarge every image to 224, which takes some six times as long, and images made so do less at 64.

It is installed by pip in an environment of its own (a temporary one, or a folder that is kept), which sees this one's torch:
without its requirements, since the kornia that it asks for asks for a torch of 2020, but runs with later ones. Where that
cannot be done nothing is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from generator.context.objectives import channel_means
from generator.context.visualize import Options, Subject, open_studio, visualize
from generator.graph import trace
from generator.models import LoadedModel, load_model
from generator.spec import ModelSpec

ROOT = Path(__file__).parents[1]
BARE = ("torch-lucent==0.1.8", "kornia==0.4.1")  # without what they ask for
BESIDE = ("decorator", "tqdm", "ipython")  # what rendering imports beyond torch, torchvision, numpy and Pillow
STEPS = 512  # of lucent
LADDER = (20, 40, 80, 160, 320, 640)  # ours
BATCH = 16  # neurons of ours
GOAL = 3.0  # times
LINE = "{:<10} {:>10} {:>12} {:>12} {:>12} {:>12} {:>8} {:>8}"


class UnavailableError(Exception):
    """Lucent cannot be had here."""


@dataclass(frozen=True)
class Found:
    """What one layer's run gave; times are processor seconds a neuron."""

    layer: str
    neurons: int
    theirs: float  # mean objective after all their steps
    their_time: float
    ours: float  # mean objective as pages have it
    our_time: float
    steps: int  # that reach theirs
    level: float  # the mean objective with so many
    level_time: float

    @property
    def times(self) -> float:
        """How many times as long theirs takes, at equal objective; 0 where ours never gets there."""
        return self.their_time / self.level_time if self.level >= self.theirs else 0.0


# -- lucent's side --------------------------------------------------------------------------------------------------------


def install(folder: Path) -> Path:
    """An environment in which lucent runs; its Python.

    Raises:
        UnavailableError: it cannot be made.
    """
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.is_file():
        venv.create(folder, with_pip=True)
        told = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
        packages = Path(subprocess.run(told, check=True, capture_output=True, text=True).stdout.strip())
        (packages / "outer.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    for wanted in (["--no-deps", *BARE], list(BESIDE)):
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise UnavailableError((done.stderr.strip().splitlines() or ["pip failed"])[-1])
    return python


def ask_lucent(python: Path, layer: str, neurons: int, threads: int) -> tuple[np.ndarray, float]:
    """Their images uint8 `[unit, row, col, RGB]`, and seconds a neuron, from a process of their environment."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.npz"
        command = [str(python), __file__, "--lucent", str(out), "--layers", layer]
        done = subprocess.run(
            [*command, "--neurons", str(neurons), "--threads", str(threads)], check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise UnavailableError((done.stderr.strip().splitlines() or ["it ended without a word"])[-1])
        with np.load(out) as held:
            return held["images"], float(held["seconds"])


def run_lucent(layer: str, neurons: int, out: Path) -> None:
    """What `ask_lucent` runs."""
    from lucent.optvis import objectives, param, render, transform
    from torchvision.transforms import Normalize

    loaded = bundled()
    side = loaded.input_shape[1]
    transforms = [*transform.standard_transforms[1:], Normalize(loaded.mean, loaded.std)]
    quiet = {"preprocess": False, "progress": False, "show_image": False, "fixed_image_size": side, "thresholds": (STEPS,)}
    torch.manual_seed(0)
    np.random.seed(0)
    images, began = [], time.process_time()
    for unit in range(neurons):
        wanted = objectives.channel(layer.replace(".", "_"), unit)
        (image,) = render.render_vis(loaded.module, wanted, lambda: param.image(side), transforms=transforms, **quiet)
        images.append((255 * image[0]).round().astype(np.uint8))
    np.savez(out, images=np.stack(images), seconds=(time.process_time() - began) / neurons)


# -- ours, and both held side by side -------------------------------------------------------------------------------------


def bundled() -> LoadedModel:
    """The network."""
    return load_model(ModelSpec(name="bundled", source="bundled"), ROOT)


def opened() -> Subject:
    """The network as ours looks at it."""
    loaded = bundled()
    return Subject(trace(loaded.module, loaded.input_shape), loaded.provenance.sha256, loaded.mean, loaded.std)


@torch.no_grad()
def mean_objective(subject: Subject, layer: str, images: np.ndarray) -> float:
    """Over the first neurons of a layer, each on the image `[unit, row, col, RGB]` of its number."""
    seen = open_studio(subject, layer, Options()).see(torch.from_numpy(images).movedim(-1, 1) / 255)[1]
    return float(channel_means(seen).diagonal().mean())


def make(subject: Subject, layer: str, neurons: int, options: Options) -> tuple[float, float]:
    """The mean objective of ours over the neurons that lucent does too, and seconds a neuron of the batch."""
    began = time.process_time()
    made = visualize(subject, layer, range(BATCH), options)
    spent = (time.process_time() - began) / BATCH
    return mean_objective(subject, layer, made.images[:neurons, 0]), spent


def compared(subject: Subject, layer: str, neurons: int, threads: int, python: Path) -> Found:
    """Both on one layer, one after the other."""
    images, their_time = ask_lucent(python, layer, neurons, threads)
    theirs = mean_objective(subject, layer, images)
    ours, our_time = make(subject, layer, neurons, Options())
    for steps in LADDER:
        level, level_time = make(subject, layer, neurons, replace(Options(), steps=steps, stop=-np.inf))
        if level >= theirs:
            break
    return Found(layer, neurons, theirs, their_time, ours, our_time, steps, level, level_time)


def measure(layers: list[str], neurons: int, threads: int, folder: Path) -> list[Found]:
    """Every layer; raises UnavailableError without lucent."""
    python, subject = install(folder), opened()
    make(subject, layers[0], 1, Options(steps=1))  # what the first run does once
    print(LINE.format("layer", "lucent", "seconds", "ours", "seconds", "at equal", "steps", "times"))
    found = []
    for layer in layers:
        one = compared(subject, layer, neurons, threads, python)
        numbers = (one.theirs, one.their_time, one.ours, one.our_time, one.level_time)
        told = [f"{number:.2f}" for number in numbers]
        print(LINE.format(layer, *told, one.steps, f"{one.times:.1f}"), flush=True)
        found.append(one)
    return found


def figures(found: list[Found], threads: int) -> list[dict[str, Any]]:
    """What the table and the JSON hold."""
    reached = all(one.times for one in found)
    whole = sum(one.their_time for one in found) / sum(one.level_time for one in found) if reached else 0.0
    count = sum(one.neurons for one in found)
    told = f"{count} neurons, 64 px, {threads} thread(s), processor time; lucent {STEPS} steps each"
    times = [figure("time of torch-lucent at equal objective", whole, "times", told, f">= {GOAL:g}")]
    for one in found:
        note = f"{one.layer}: equal after {one.steps} steps, {one.level_time:.2f} s against {one.their_time:.2f} s a neuron"
        times.append(figure(f"as much in {one.layer}", one.times, "times", note, f">= {GOAL:g}"))
        note = f"{one.layer}: mean objective {one.ours:.2f} against {one.theirs:.2f}, in {one.our_time:.2f} s a neuron"
        times.append(figure(f"objective as pages have it, {one.layer}", one.ours / one.theirs, "of lucent's", note))
    return times


def figure(name: str, value: float, unit: str, note: str, goal: str | None = None) -> dict[str, Any]:
    """One figure as the JSON tells it."""
    return {"name": f"visualizations: {name}", "value": round(value, 3), "goal": goal, "unit": unit, "note": note}


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=lambda text: text.split(","), default=["conv1", "mixed3b", "mixed4b"])
    parser.add_argument("--neurons", type=int, default=4, help="of each layer, at most 16")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--environment", type=Path, help="folder for lucent's environment; kept, and used again")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--lucent", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    """Measure and print."""
    wanted = parse_arguments()
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # lucent would take a GPU, and not the model with it
    torch.set_num_threads(wanted.threads)
    if wanted.lucent:
        run_lucent(wanted.layers[0], wanted.neurons, wanted.lucent)
        return 0
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = measure(wanted.layers, wanted.neurons, wanted.threads, wanted.environment or Path(folder) / "lucent")
    except UnavailableError as reason:
        print(f"torch-lucent cannot be had here, nothing measured: {reason}", file=sys.stderr)
        return 0
    told = figures(found, wanted.threads)
    print(f"all layers: lucent takes {told[0]['value']:.1f} times as long at equal objective (goal {told[0]['goal']})")
    if wanted.json:
        wanted.json.write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
