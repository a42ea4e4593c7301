"""Make the feature visualizations that come with the bundled network, and hold them against photographs.

    python -m generator.models.bundled.visualize --data tiny-imagenet.zip

For every layer of its atlas a sprite is written to `--out`, and `index.json` with what the sprites are and what was measured:
for every neuron its mean activation over the map on its image, and the largest such mean on a thousand validation images. A
killed run goes on where it was. Tiles lie in a sprite as everywhere (`pictures.sprite`).
"""

from __future__ import annotations

import argparse
import json
import time
import zipfile
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from generator.context.fourier import colour_root
from generator.context.objectives import channel_means
from generator.context.visualize import Options, Studio, Subject, open_studio, visualize
from generator.graph import choose, trace
from generator.models import LoadedModel, load_model
from generator.models.bundled import HERE
from generator.models.bundled.train import Images, read_classes, read_split, write_whole
from generator.photos import read_pixels, sprite_of
from generator.pictures import tiles_of
from generator.records import Visualizations

PHOTOGRAPHS = 1000
LINE = "{:<14}{:>8}{:>7}{:>8}{:>7}{:>9}{:>7}{:>6}"


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; `--help` tells the defaults."""
    parser = argparse.ArgumentParser(
        prog="python -m generator.models.bundled.visualize",
        description="Make the bundled network's feature visualizations; the same command again resumes.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="the Tiny-ImageNet zip, for the photographs")
    parser.add_argument("--out", type=Path, default=HERE / "visualizations", help="folder for the sprites")
    parser.add_argument("--kept", type=Path, default=Path("runs/visualizations"), help="folder for what is done so far")
    parser.add_argument("--layers", nargs="*", default=["auto"], help="addresses or globs; index.json then holds these alone")
    parser.add_argument("--steps", type=int, default=Options.steps, help="at most, for each image")
    parser.add_argument("--colours", action="store_true", help="only print the colours of natural images (fourier.COLOURS)")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Make, measure, write."""
    wanted = parse_arguments(arguments)
    if wanted.colours:
        print(colour_root(photographs(wanted.data, None).pictures).round(4).tolist())
        return
    loaded = load_model(SimpleNamespace(name="bundled", source="bundled", weights=None, arguments={}, input_size=None), HERE)
    graph = trace(loaded.module, loaded.input_shape)
    subject = Subject(graph, loaded.provenance.sha256, loaded.mean, loaded.std)
    options = Options(steps=wanted.steps)
    seen = photographs(wanted.data, PHOTOGRAPHS)
    wanted.out.mkdir(parents=True, exist_ok=True)
    measured = {}
    for address in choose(graph, wanted.layers):
        if address != "input":
            measured[address] = make_layer(subject, address, options, seen, wanted)
    write_whole(wanted.out / "index.json", lambda part: part.write_text(told(loaded, options, measured), "utf-8"))
    print_table(measured)


def photographs(data: Path, limit: int | None) -> Images:
    """The validation images, or that many of them, evenly spaced over the classes."""
    with zipfile.ZipFile(data) as archive:
        return read_split(archive, "val", read_classes(archive)[0], limit)


def make_layer(subject: Subject, address: str, options: Options, seen: Images, wanted: argparse.Namespace) -> dict[str, Any]:
    """Write a layer's sprite; gives what is measured."""
    wall, work = time.perf_counter(), time.process_time()
    units = range(subject.graph.layers[address].neurons)
    made = visualize(subject, address, units, options, wanted.kept)
    spent = {"seconds": time.perf_counter() - wall, "work": time.process_time() - work}
    studio = open_studio(subject, address, options)
    sprite = sprite_of(made.images[:, 0])
    write_whole(wanted.out / f"{address}.webp", lambda part: part.write_bytes(sprite))
    packed = read_pixels(sprite)
    found = {
        "activations": made.activations[:, 0],
        "packed": activations_on(studio, tiles_of(packed, len(units)), own=True),
        "photographs": activations_on(studio, seen.pictures, own=False),
    }
    print(f"{address}: {len(units)} neurons, {spent['seconds']:.0f} s, {len(sprite) / 1024:.0f} KiB", flush=True)
    return {**found, **spent, "bytes": len(sprite), "notes": notes_of(made)}


def notes_of(made: Visualizations) -> dict[str, str]:
    """What is wrong with images, by the neuron's number."""
    return {str(unit): note for unit, note in enumerate(made.notes) if note}


@torch.no_grad()
def activations_on(studio: Studio, pictures: np.ndarray, own: bool) -> np.ndarray:
    """Every neuron's mean over its map `[unit]`: on the picture of its own number, or the largest on any of them."""
    parts = []
    for start in range(0, len(pictures), 100):
        images = torch.from_numpy(pictures[start : start + 100]).to(studio.device).movedim(-1, 1).float() / 255
        parts.append(channel_means(studio.see(images)[1]))
    means = torch.cat(parts)
    return (means.diagonal() if own else means.amax(0)).cpu().numpy()


def told(loaded: LoadedModel, options: Options, measured: dict[str, dict[str, Any]]) -> str:
    """The index of the sprites, JSON."""
    layers = {
        address: {
            "activations": [round(float(value), 4) for value in found["activations"]],
            "photographs": [round(float(value), 4) for value in found["photographs"]],
            "notes": found["notes"],
        }
        for address, found in measured.items()
    }
    facts = {"weights": loaded.provenance.sha256, "side": loaded.input_shape[1]}
    whole = {**facts, "photographs": PHOTOGRAPHS, "options": asdict(options), "layers": layers}
    return json.dumps(whole, indent=1).replace("\n    ", " ").replace("\n   ]", "]") + "\n"


def print_table(measured: dict[str, dict[str, Any]]) -> None:
    """What was measured, a line a layer.

    `above` counts the neurons that respond more to their image than to any photograph, `packed` those that still do to the tile
    of the sprite, and `times` is how much more, the median.
    """
    print(LINE.format("layer", "neurons", "above", "packed", "times", "seconds", "CPU s", "KiB"))
    sums = np.zeros(6)
    for address, found in measured.items():
        mine, packed, best = found["activations"], found["packed"], found["photographs"]
        counts = (len(mine), (mine > best).sum(), (packed > best).sum())
        costs = (found["seconds"], found["work"], found["bytes"] / 1024)
        times = np.median(mine / np.maximum(best, np.finfo(np.float32).tiny))
        print(LINE.format(address, *counts, f"{times:.2f}", *(f"{cost:.0f}" for cost in costs)))
        sums += (*counts, *costs)
    whole = [f"{total:.0f}" for total in sums]
    print(LINE.format("all", *whole[:3], "", *whole[3:]))


if __name__ == "__main__":
    main()
