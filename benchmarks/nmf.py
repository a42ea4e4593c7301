"""Per-neuron NMF of a whole VGG-16 trunk: ours against a loop over scikit-learn's, in one run.

python benchmarks/nmf.py [--json FILE] [--stride N] [--repeat N] [--weights FILE]

For every neuron of conv1_2 to conv5_3: scikit-learn's NMF (3 components, 200 iterations, nndsvda) of [relu(X), relu(-X)], one
neuron at a time, and `factor_neurons`, a layer at a time. Both have one thread, whatever the environment says: their matrices
are too small to share, and idle threads that wait in a loop would count. Times are processor time of this process, which other
load disturbs little. `--stride` lets scikit-learn do every Nth neuron only and scales its time. Exit codes: 0, and 2 where the
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
from generator.analyses.nmf import factor_neurons, noise_share

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


def ours(kernel: np.ndarray, repeat: int) -> tuple[float, Any]:
    """Seconds, the least of `repeat`, and the factors; the figure for noise is timed apart, since a shape has it once."""
    best = float("inf")
    for _ in range(repeat):
        started = time.process_time()
        found = factor_neurons(kernel)
        best = min(best, time.process_time() - started)
    return best, found


def agreement(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Worst factor cosine of each unit's maps [unit, position, factor]: in the colours as they are, and in the best order."""
    unit = [maps / np.maximum(np.linalg.norm(maps, axis=1, keepdims=True), 1e-30) for maps in (one, two)]
    cosines = np.einsum("upf,upg->ufg", *unit)
    orders = [cosines[:, range(3), order].min(1) for order in permutations(range(3))]
    return np.stack([orders[0], np.max(orders, 0)])


def layer_row(name: str, kernel: np.ndarray, stride: int, repeat: int) -> dict[str, float | str]:
    """Everything measured on one layer."""
    units = np.arange(0, len(kernel), stride)
    started = time.process_time()
    noise_share(kernel.shape[2] * kernel.shape[3], kernel.shape[1], 3)
    noise_seconds = time.process_time() - started
    our_seconds, found = ours(kernel, repeat)
    their_seconds, maps, raw = theirs(kernel, units)
    flat = found.maps.reshape(len(kernel), -1, 3)
    refitted = shares(kernel, units, maps)
    lead = shares(kernel, units, flat[units]) - np.maximum(refitted, raw)
    same = agreement(*(factor_neurons(kernel, seed=seed).maps.reshape(flat.shape) for seed in (1, 2)))
    return {
        "layer": name,
        "neurons": len(kernel),
        "inputs": kernel.shape[1],
        "theirs_s": their_seconds * len(kernel) / len(units),
        "ours_s": our_seconds,
        "noise_s": noise_seconds,
        "explained": float(np.median(found.explained)),
        "of_bound": float(np.median(found.explained / found.bound)),
        "of_bound_least": float(np.min(found.explained / found.bound)),
        "theirs_raw": float(np.median(raw)),
        "theirs_refit": float(np.median(refitted)),
        "least_lead": float(lead.min()),
        "noise": float(np.median(found.noise)),
        "same_colours": float((same[0] >= 0.99).mean()),
        "same_maps": float((same[1] >= 0.99).mean()),
    }


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of the whole trunk, beside the goals."""
    neurons = np.array([row["neurons"] for row in rows])
    total = {key: sum(row[key] for row in rows) for key in ("theirs_s", "ours_s", "noise_s")}
    return {
        "layer": "trunk",
        "neurons": int(neurons.sum()),
        **total,
        "ratio": total["theirs_s"] / total["ours_s"],
        "ratio_with_noise": total["theirs_s"] / (total["ours_s"] + total["noise_s"]),
        "of_bound": min(row["of_bound"] for row in rows[1:]),
        "least_lead": min(row["least_lead"] for row in rows),
        "same_colours": float(sum(row["same_colours"] * row["neurons"] for row in rows) / neurons.sum()),
        "same_maps": float(sum(row["same_maps"] * row["neurons"] for row in rows) / neurons.sum()),
    }


def print_table(rows: list[dict[str, Any]], whole: dict[str, Any]) -> None:
    """Rows of layers, then the trunk against its goals."""
    print(
        "layer    neurons  sklearn s  ours ms  ratio  explained  of bound (least)  sklearn raw/refit  least lead  same picture"
    )
    for row in rows:
        ratio = row["theirs_s"] / row["ours_s"]
        times = f"{row['layer']:8} {row['neurons']:7} {row['theirs_s']:10.2f} {1e3 * row['ours_s']:8.1f} {ratio:6.0f}"
        bound = f"{row['explained']:10.3f}  {row['of_bound']:8.4f} ({row['of_bound_least']:.4f})"
        beside = f"{row['theirs_raw']:10.3f}/{row['theirs_refit']:.3f} {row['least_lead']:+14.5f} {row['same_colours']:12.2%}"
        print(times, bound, beside)
    theirs_s, ours_s, noise_s = (whole[key] for key in ("theirs_s", "ours_s", "noise_s"))
    print(f"\ntrunk: scikit-learn {theirs_s:.2f} s, ours {ours_s:.3f} s, the figures for noise {noise_s:.3f} s more")
    print(f"ratio                                          {whole['ratio']:9.0f}   goal 100")
    print(f"ratio with the figures for noise               {whole['ratio_with_noise']:9.0f}")
    print(f"median share of the SVD bound, worst layer     {whole['of_bound']:9.4f}   goal 0.99 (conv2_1 to conv5_3)")
    print(f"least lead over scikit-learn, any neuron       {whole['least_lead']:+9.5f}   goal >= 0")
    print(f"same picture from two seeds, colours and all   {whole['same_colours']:9.2%}   goal 99%")
    print(f"same maps from two seeds, in any order         {whole['same_maps']:9.2%}")


def main() -> None:
    """Measures, prints, and writes JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--stride", type=int, default=1, help="scikit-learn factors every Nth neuron only (default: all)")
    parser.add_argument("--repeat", type=int, default=3, help="ours is the fastest of so many runs (default: 3)")
    parser.add_argument("--weights", type=Path, default=TRUNK, help="a VGG-16 trunk as safetensors")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    kernels = trunk(options.weights)
    torch.set_num_threads(1)
    with threadpool_limits(1):
        rows = [layer_row(name, kernel, options.stride, options.repeat) for name, kernel in kernels.items()]
    whole = summary(rows)
    print_table(rows, whole)
    if options.json:
        options.json.write_text(json.dumps({"layers": rows, "trunk": whole}, indent=1) + "\n")


if __name__ == "__main__":
    main()
