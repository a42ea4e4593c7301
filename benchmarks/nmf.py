"""Per-neuron NMF of a whole VGG-16 trunk: ours against a loop over scikit-learn's, in one run.

python benchmarks/nmf.py [--json FILE] [--stride N] [--repeat N] [--threads N] [--weights FILE]

For every neuron of conv1_2 to conv5_3: scikit-learn's NMF (3 components, 200 iterations, nndsvda) of [relu(X), relu(-X)], one
neuron at a time, and `factor_layers`, the trunk at once. Libraries have one thread each, whatever the environment says: their
matrices are too small to share, and idle threads that wait in a loop would count. Two ratios are told: processor time against
processor time, which other load disturbs little; and the wall time of ours on `--threads` of our own against scikit-learn's
processor time, which is the wall time of its loop on an idle machine. Ours runs once more after every layer of theirs, and the
fastest run counts. `--stride` lets scikit-learn do every Nth neuron only and scales its time. Exit codes: 0, and 2 where the
checkpoint cannot be used.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from itertools import permutations
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[1]))
from generator.analyses.nmf import factor_layers, factor_neurons, noise_share
from generator.records import NeuronFactors

TRUNK = Path(__file__).parents[2] / "shared" / "models" / "vgg16_features-hed.safetensors"
NAMES = dict(
    zip(
        (2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
        "conv1_2 conv2_1 conv2_2 conv3_1 conv3_2 conv3_3 conv4_1 conv4_2 conv4_3 conv5_1 conv5_2 conv5_3".split(),
        strict=True,
    )
)


def refuse(message: str) -> NoReturn:
    """Ends the program for a mistake of the user's: one line, exit code 2."""
    print(f"benchmarks/nmf.py: {message}", file=sys.stderr)
    raise SystemExit(2)


def trunk(path: Path) -> dict[str, np.ndarray]:
    """The kernels [unit, input, row, col] of conv1_2 to conv5_3, by name; ends the program without them."""
    if not path.is_file():
        refuse(f"no VGG-16 checkpoint at {path}; name one with --weights FILE")
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        refuse(f"{path} cannot be read as safetensors: {error}")
    missing = [key for key in (f"features.{index}.weight" for index in NAMES) if key not in weights]
    if missing:
        refuse(f"{path} is not a VGG-16 trunk: it has no {missing[0]}")
    return {name: weights[f"features.{index}.weight"].astype(np.float32) for index, name in NAMES.items()}


def shares(kernel: np.ndarray, units: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """The share of each unit's weight that maps [unit, position, factor] explain with mixes fitted by numpy."""
    found = []
    for unit, own in zip(units, maps, strict=True):
        weights = kernel[unit].reshape(kernel.shape[1], -1).T.astype(float)
        mixes = np.linalg.lstsq(own.astype(float), weights, rcond=None)[0]
        found.append(1 - ((weights - own @ mixes) ** 2).sum() / (weights**2).sum())
    return np.array(found)


def theirs(kernel: np.ndarray, units: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Seconds for scikit-learn on these units, their maps, and the share explained without a refit."""
    maps, raw = np.zeros((len(units), kernel.shape[2] * kernel.shape[3], 3)), np.zeros(len(units))
    started = time.process_time()
    for place, unit in enumerate(units):
        weights = kernel[unit].reshape(kernel.shape[1], -1).T
        model = NMF(n_components=3, max_iter=200, init="nndsvda", random_state=0)
        maps[place] = model.fit_transform(np.concatenate([np.maximum(weights, 0), np.maximum(-weights, 0)], 1))
        halves = model.components_.reshape(3, 2, -1)
        raw[place] = 1 - ((weights - maps[place] @ (halves[:, 0] - halves[:, 1])) ** 2).sum() / (weights**2).sum()
    return time.process_time() - started, maps, raw


class Ours:
    """The whole trunk, again and again: the least processor time on one thread, the least wall time on several."""

    def __init__(self, kernels: list[np.ndarray], threads: int) -> None:
        self.kernels, self.threads = kernels, threads
        self.processor = self.wall = float("inf")
        self.found: list[NeuronFactors] = factor_layers(kernels)  # the first run has the figures for noise to find, too

    def again(self, times: int) -> None:
        for _ in range(times):
            started = time.process_time()
            factor_layers(self.kernels)
            self.processor = min(self.processor, time.process_time() - started)
            started = time.perf_counter()
            factor_layers(self.kernels, threads=self.threads)
            self.wall = min(self.wall, time.perf_counter() - started)


def agreement(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Worst factor cosine of each unit's maps [unit, position, factor]: in the colours as they are, and in the best order."""
    unit = [maps / np.maximum(np.linalg.norm(maps, axis=1, keepdims=True), 1e-30) for maps in (one, two)]
    cosines = np.einsum("upf,upg->ufg", *unit)
    orders = [cosines[:, range(3), order].min(1) for order in permutations(range(3))]
    return np.stack([orders[0], np.max(orders, 0)])


def layer_row(name: str, kernel: np.ndarray, stride: int, found: NeuronFactors) -> dict[str, Any]:
    """Everything measured on one layer."""
    units = np.arange(0, len(kernel), stride)
    their_seconds, maps, raw = theirs(kernel, units)
    flat = found.maps.reshape(len(kernel), -1, 3)
    refitted = shares(kernel, units, maps)
    lead = shares(kernel, units, flat[units]) - np.maximum(refitted, raw)
    same = agreement(*(factor_neurons(kernel, seed=seed).maps.reshape(flat.shape) for seed in (1, 2)))
    return {
        "layer": name,
        "neurons": len(kernel),
        "theirs_s": their_seconds * len(kernel) / len(units),
        "explained": float(np.median(found.explained)),
        "of_bound": float(np.median(found.explained / found.bound)),
        "of_bound_least": float(np.min(found.explained / found.bound)),
        "theirs_raw": float(np.median(raw)),
        "theirs_refit": float(np.median(refitted)),
        "least_lead": float(lead.min()),
        "same_colours": float((same[0] >= 0.99).mean()),
    }


def noise_seconds(kernels: list[np.ndarray]) -> float:
    """Processor time of the figures for noise, which every shape has once."""
    noise_share.cache_clear()
    started = time.process_time()
    for kernel in kernels:
        noise_share(kernel.shape[2] * kernel.shape[3], kernel.shape[1], 3)
    return time.process_time() - started


def figures(rows: list[dict[str, Any]], ours: Ours, noise_s: float) -> list[dict[str, Any]]:
    """What was measured of the whole trunk, beside the goals."""
    neurons = np.array([row["neurons"] for row in rows])
    theirs_s = sum(row["theirs_s"] for row in rows)
    same = sum(row["same_colours"] * row["neurons"] for row in rows) / neurons.sum()
    told = f"{neurons.sum()} neurons; scikit-learn {theirs_s:.2f} s of processor time"
    lines = [
        (
            f"NMF ratio, wall on {ours.threads} threads",
            theirs_s / ours.wall,
            300,
            "x",
            f"{told}, ours {1e3 * ours.wall:.0f} ms",
        ),
        (
            "NMF ratio, processor",
            theirs_s / ours.processor,
            None,
            "x",
            f"{told}, ours {1e3 * ours.processor:.0f} ms on one thread",
        ),
        (
            "NMF ratio, processor, with noise",
            theirs_s / (ours.processor + noise_s),
            None,
            "x",
            f"with the figures for noise, {1e3 * noise_s:.0f} ms, once for each shape",
        ),
        (
            "NMF least lead in explained energy",
            min(row["least_lead"] for row in rows),
            0,
            "",
            "of any neuron; at least the goal",
        ),
        (
            "NMF of the SVD bound",
            min(row["of_bound"] for row in rows[1:]),
            0.99,
            "",
            "median of the worst layer from conv2_1 on",
        ),
        ("NMF same picture from two seeds", same, 0.99, "", "all three maps agree to cosine 0.99, colours and all"),
    ]
    return [dict(zip(("name", "value", "goal", "unit", "note"), line, strict=True), more=True) for line in lines]


def print_table(rows: list[dict[str, Any]], found: list[dict[str, Any]]) -> None:
    """Rows of layers, then the trunk against its goals."""
    print("layer    neurons  sklearn s  explained  of bound (least)  sklearn raw/refit  least lead  same picture")
    for row in rows:
        bound = f"{row['explained']:9.3f}  {row['of_bound']:8.4f} ({row['of_bound_least']:.4f})"
        beside = f"{row['theirs_raw']:10.3f}/{row['theirs_refit']:.3f} {row['least_lead']:+14.5f} {row['same_colours']:12.2%}"
        print(f"{row['layer']:8} {row['neurons']:7} {row['theirs_s']:10.2f}", bound, beside)
    print()
    for line in found:
        goal = "" if line["goal"] is None else f"goal {line['goal']:g}"
        print(f"{line['name']:36} {line['value']:12.5g} {line['unit']:2} {goal:10} {line['note']}")


def main() -> None:
    """Measures, prints, and writes JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--stride", type=int, default=1, help="scikit-learn factors every Nth neuron only (default: all)")
    parser.add_argument("--repeat", type=int, default=3, help="runs of ours after every layer of theirs (default: 3)")
    parser.add_argument("--threads", type=int, default=2, help="of ours, for the wall time (default: 2)")
    parser.add_argument("--weights", type=Path, default=TRUNK, help="a VGG-16 trunk as safetensors")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    kernels = trunk(options.weights)
    torch.set_num_threads(1)
    rows = []
    with threadpool_limits(1):
        noise_s = noise_seconds(list(kernels.values()))
        ours = Ours(list(kernels.values()), options.threads)
        for (name, kernel), found in zip(kernels.items(), ours.found, strict=True):
            rows.append(layer_row(name, kernel, options.stride, found))
            ours.again(options.repeat)
    lines = figures(rows, ours, noise_s)
    print_table(rows, lines)
    if options.json:
        options.json.write_text(json.dumps(lines, indent=1) + "\n")


if __name__ == "__main__":
    main()
