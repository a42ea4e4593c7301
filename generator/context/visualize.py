"""Feature visualization: for every neuron of a layer an image that it responds to strongly, found by gradient ascent.

After Olah, Mordvintsev & Schubert, *Feature Visualization* (Distill 2017): Fourier coefficients in decorrelated colours
(`fourier`), Adam, and a small random transformation before each step (`transforms`), so that what is found is robust. Own
choices: the gradient of every image is brought to one size, and Adam's epsilon is that size, so that coefficients that
matter little stay where they are; a leak that fades wakes neurons that are shut to begin with (`objectives.objective`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, fx

from generator.context.fourier import first_coefficients, to_images
from generator.context.kept import keep, key_of, read_kept
from generator.context.objectives import channel_means, likeness, network_up_to, objective
from generator.context.transforms import draw_turn, transformed
from generator.errors import ModelError
from generator.graph import Graph
from generator.records import Visualizations

VERSION = 1  # of the method: what was kept by another is made anew
WINDOW = 16  # steps over which a gain is judged
PIXELS = 1 << 18  # of a batch at most, on a CPU: what a network holds of them for the gradient decides the memory it takes
DEAD = "nothing in the image changes it"
SHUT = "no image was found that it is active on"
BROKEN = "its activation, or what the image changes of it, is not a number"
ARRAYS = ("images", "activations", "notes")


@dataclass(frozen=True)
class Subject:
    """A model as it is looked at."""

    graph: Graph
    weights: str  # digest of its weights: `Provenance.sha256`
    mean: tuple[float, ...] | None = None  # taken from every channel of an image in 0..1; None for nothing
    std: tuple[float, ...] | None = None  # it is divided by; None for nothing


@dataclass(frozen=True)
class Options:
    """How the images are made: all that decides them beside the subject, the layer and the device."""

    size: tuple[int, int] | None = None  # rows, cols; None, or where the layer runs at no other size, the model's own input
    objective: str = "channel"  # the mean over the map; 'centre' for the neuron in its middle
    negative: bool = False  # what makes the neuron most negative before its activation
    images: int = 1  # for each neuron
    diversity: float = 1.0  # what the unlikeness of a neuron's images is worth, beside a gain as large as the objective
    steps: int = 80  # at most
    rate: float = 0.17  # of Adam
    leak: float = 0.3  # what a negative position counts at first; nothing after two thirds of the steps
    jitter: float = 4.0  # pixels
    scale: float = 0.1  # at most this share larger, or as much smaller
    rotation: float = 8.0  # degrees
    stop: float = 0.04  # ends a batch whose neurons gained less than this share in 16 steps (their median)
    batch: int = 32  # images at a time; fewer where they are large
    seed: int = 0


def visualize(
    subject: Subject,
    address: str,
    units: Sequence[int],
    options: Options | None = None,
    folder: Path | None = None,
    on_batch: Callable[[int], object] = lambda units: None,
) -> Visualizations:
    """Images for neurons of a layer, on a GPU where there is one.

    The same seed gives the same bytes on one machine's CPU with as many threads; a GPU adds in no fixed order.

    Args:
        subject: the model.
        address: of the layer.
        units: numbers of the neurons in that layer.
        options: how they are made.
        folder: for what is done so far; a run that is begun again takes from there what it can. None keeps nothing.
        on_batch: told the number of neurons after every batch.

    Raises:
        LayerError: there is no such layer.
        ModelError: the model does not read pictures, or the layer cannot be run by itself.
        StoreError: the folder cannot be written.
    """
    options = options or Options()
    studio = open_studio(subject, address, options)
    parts = []
    for key, batch in keyed_batches(subject, studio, address, units):
        part = read_kept(folder, key, ARRAYS)
        if part is None:
            part = ascend(studio, batch)
            keep(folder, key, part)
        parts.append(part)
        on_batch(len(batch))
    return joined(parts, studio)


# -- what a run needs -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Studio:
    """The layer's network on its device, and how it is fed."""

    network: fx.GraphModule
    options: Options
    channels: int
    size: tuple[int, int]
    mean: Tensor  # [channel, 1, 1]
    std: Tensor
    device: torch.device
    rectified: bool  # whether an activation ends the layer
    layout: torch.memory_format = torch.channels_last  # of the network and what it is fed; fast

    def see(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The layer's neurons before and after their activation, of images 0..1 `[image, channel, row, col]`."""
        before, after = self.network(self.fed(images))
        return before, after

    def fed(self, images: Tensor) -> Tensor:
        """Images as the network takes them."""
        return ((images - self.mean) / self.std).contiguous(memory_format=self.layout)


def open_studio(subject: Subject, address: str, options: Options) -> Studio:
    """Make ready, and try it: at the size asked for, then at that of the model's own input."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # A copy: memory format and device would change under the model's own feet.
    network = copy.deepcopy(network_up_to(subject.graph, address)).to(device)
    channels, rows, cols = subject.graph.traced.shapes[subject.graph.traced.input]
    if channels not in (1, 3):
        raise ModelError(f"{address}: its model reads {channels} channels; a picture that can be shown has 1 or 3")
    mean, std = (
        torch.tensor(given or (plain,), dtype=torch.float32, device=device).view(-1, 1, 1)
        for given, plain in ((subject.mean, 0.0), (subject.std, 1.0))
    )
    site = subject.graph.site(address)
    studio = Studio(network, options, channels, (rows, cols), mean, std, device, site.end is not site.start)
    reasons = []
    for size in (options.size or studio.size, studio.size):
        for layout in (torch.channels_last, torch.contiguous_format):  # a `view` in the model's code may ask for the second
            tried = replace(studio, network=network.to(memory_format=layout), size=size, layout=layout)
            reasons.append(trouble(tried))
            if not reasons[-1]:
                return tried
    raise ModelError(f"{address} does not run on images of {rows} x {cols}: {reasons[-1]}")


@torch.no_grad()
def trouble(studio: Studio) -> str:
    """Why the layer's network does not run on two images, in a line; '' where it does."""
    images = torch.full((2, studio.channels, *studio.size), 0.5, device=studio.device)
    try:
        before, _ = studio.network.forward(studio.fed(images))  # called as a whole it prints what it fails on
    except Exception as error:  # a model's own code: it may raise anything
        return (str(error).strip().splitlines() or [type(error).__name__])[0]
    # A map flattened for one size is dealt out over several images, or one, at some others.
    return "" if len(before) == 2 else f"of 2 images it makes {len(before)}"


def together(studio: Studio) -> int:
    """How many neurons are worked on at once."""
    most = PIXELS // (studio.size[0] * studio.size[1]) if studio.device.type == "cpu" else studio.options.batch
    return max(1, min(studio.options.batch, most) // studio.options.images)


def batches(units: Sequence[int], count: int) -> Iterator[list[int]]:
    """The units, `count` at a time."""
    for start in range(0, len(units), count):
        yield [int(unit) for unit in units[start : start + count]]


def keyed_batches(subject: Subject, studio: Studio, address: str, units: Sequence[int]) -> Iterator[tuple[str, list[int]]]:
    """The units as they are worked on, each batch with the key that its images are kept under."""
    for batch in batches(units, together(studio)):
        yield key_of(ingredients(subject, studio, address, batch)), batch


def ingredients(subject: Subject, studio: Studio, address: str, units: list[int]) -> dict[str, object]:
    """Everything that a batch of images depends on."""
    return {
        "version": VERSION,
        "weights": subject.weights,
        "network": [studio.network.code, str(studio.network)],
        "layer": address,
        "units": units,
        "options": asdict(studio.options),
        "size": studio.size,
        "normalization": [subject.mean, subject.std],
        "device": studio.device.type,
    }


# -- the ascent -----------------------------------------------------------------------------------------------------------


def ascend(studio: Studio, units: list[int]) -> dict[str, np.ndarray]:
    """The images of one batch of neurons, what the neurons say of them, and notes; see ARRAYS."""
    *_, last = climb(studio, units)
    return developed(studio, last)


class Climb(NamedTuple):
    """How far a batch has come."""

    coefficients: Tensor  # [image, ...] of the images
    chosen: Tensor  # [image]: the neuron of each
    moved: Tensor  # [image]: how much the coefficients were asked to change so far


def climb(studio: Studio, units: list[int]) -> Iterator[Climb]:
    """Where a batch of neurons begins, and where it stands after each of its steps: the same tensors, changed in place."""
    options, count = studio.options, studio.options.images
    generator = torch.Generator().manual_seed(options.seed)
    first = torch.stack([first_coefficients(studio.channels, studio.size, generator) for _ in range(count)])
    coefficients = first.repeat(len(units), 1, 1, 1, 1).to(studio.device).requires_grad_(True)
    adam = torch.optim.Adam([coefficients], options.rate, eps=1.0)
    chosen = torch.tensor(units, device=studio.device).repeat_interleave(count)
    history: list[Tensor] = []
    moved = torch.zeros(len(chosen), device=studio.device)
    yield Climb(coefficients.detach(), chosen, moved)
    for step in range(options.steps):
        turn = draw_turn(studio.size, generator, options.jitter, options.scale, options.rotation)
        leak = options.leak * max(0.0, 1 - 1.5 * step / options.steps)
        gain, loss = judge(studio, transformed(to_images(coefficients, studio.size), turn), chosen, leak)
        adam.zero_grad()
        loss.backward()
        moved += even_out(coefficients)
        adam.step()
        history.append(gain.detach())
        yield Climb(coefficients.detach(), chosen, moved)
        if stalled(history, options.stop):
            break


def judge(studio: Studio, images: Tensor, chosen: Tensor, leak: float) -> tuple[Tensor, Tensor]:
    """The objective of every image `[image]`, and what is to be made small for the whole batch."""
    options = studio.options
    before, after = studio.see(images)
    rows = torch.arange(len(chosen), device=chosen.device)
    gain = objective((-1 if options.negative else 1) * before[rows, chosen], options.objective, leak)
    loss = -gain.sum()
    if options.images > 1:
        alike = likeness(after.reshape(-1, options.images, *after.shape[1:]))
        loss = loss + options.diversity * (alike * gain.detach().abs().reshape(alike.shape[0], -1).mean(1)).sum()
    return gain, loss


def even_out(coefficients: Tensor) -> Tensor:
    """Bring the gradient of every image to a root mean square of 1, in place; gives what it was, `[image]`."""
    gradient = coefficients.grad
    assert gradient is not None
    size = gradient.flatten(1).square().mean(1).sqrt()
    gradient /= size.clamp(min=torch.finfo(size.dtype).tiny).view(-1, 1, 1, 1, 1)
    gradient.nan_to_num_(0.0, 0.0, 0.0)
    return size


def stalled(history: list[Tensor], stop: float) -> bool:
    """Whether half of the images gained less than a share of what they have, over the last two windows of steps."""
    if len(history) % WINDOW or len(history) < 2 * WINDOW:
        return False
    older, newer = (torch.stack(part).mean(0) for part in (history[-2 * WINDOW : -WINDOW], history[-WINDOW:]))
    return bool(torch.nanmedian((newer - older) / newer.abs().clamp(min=1e-12)) < stop)


def developed(studio: Studio, end: Climb) -> dict[str, np.ndarray]:
    """Images in 256 steps, and the channel means of the neurons for just these."""
    with torch.no_grad():
        images = (255 * to_images(end.coefficients, studio.size)).round()
        after = channel_means(studio.see(images / 255)[1])
    rows = torch.arange(len(end.chosen), device=end.chosen.device)
    activations = after[rows, end.chosen].cpu().numpy()
    notes = [note_on(*each, studio) for each in zip(activations, end.moved.tolist(), strict=True)]
    pixels = images.to(torch.uint8).movedim(1, -1).expand(-1, -1, -1, 3).cpu().numpy()
    return {"images": pixels, "activations": activations.astype(np.float32), "notes": np.array(notes)}


def note_on(activation: float, moved: float, studio: Studio) -> str:
    """What is wrong with an image; '' for nothing."""
    if not np.isfinite(activation + moved):
        return BROKEN
    if moved == 0:
        return DEAD
    return SHUT if studio.rectified and activation <= 0 and not studio.options.negative else ""


def joined(parts: list[dict[str, np.ndarray]], studio: Studio) -> Visualizations:
    """The record of all batches."""
    count = studio.options.images
    empty: dict[str, np.ndarray] = {
        "images": np.zeros((0, *studio.size, 3), np.uint8),
        "activations": np.zeros(0, np.float32),
        "notes": np.zeros(0, "U1"),
    }
    images, activations, notes = (np.concatenate([part[name] for part in [empty, *parts]]) for name in ARRAYS)
    by_unit = notes.reshape(-1, count)
    return Visualizations(
        images.reshape(-1, count, *images.shape[1:]),
        activations.reshape(-1, count),
        tuple(next((str(note) for note in row if note), "") for row in by_unit),
    )
