"""Train the bundled network on Tiny-ImageNet.

    python -m generator.models.bundled.train --data tiny-imagenet.zip --epochs 18 --out runs/bundled

The zip holds `train/<class>/*.JPEG`, `val/<class>/*.JPEG` and `classes.tsv` (id, words). After every epoch a checkpoint is
written to `--out`; the same command again goes on from there. The end of the last epoch writes `tiny_inception.safetensors`
(float16, with the recipe and the validation accuracy as metadata) beside it.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from generator.models.bundled.network import MEAN, SIDE, STD, TinyInception
from generator.photos import read_pixels


@dataclass(frozen=True)
class Images:
    """One split, decoded: pictures uint8 `[image, row, col, RGB]`, labels int64 `[image]`."""

    pictures: np.ndarray
    labels: np.ndarray


def read_split(archive: zipfile.ZipFile, split: str, classes: list[str], limit: int | None = None) -> Images:
    """Decode one split of the zip; `limit` keeps that many images, evenly spaced over the classes."""
    index = {name: number for number, name in enumerate(classes)}
    names = [n for n in archive.namelist() if n.startswith(f"{split}/") and n.endswith(".JPEG")]
    if limit:
        names = names[:: max(1, len(names) // limit)][:limit]
    pictures = np.empty((len(names), SIDE, SIDE, 3), np.uint8)
    for number, name in enumerate(names):
        pictures[number] = read_pixels(archive.read(name))
    return Images(pictures, np.array([index[name.split("/")[1]] for name in names], np.int64))


def read_classes(archive: zipfile.ZipFile) -> tuple[list[str], list[str]]:
    """Class ids in their fixed order, and the words for each."""
    rows = [line.split("\t", 1) for line in archive.read("classes.tsv").decode().splitlines() if line.strip()]
    return [row[0] for row in rows], [row[1] for row in rows]


def batch(images: Images, chosen: np.ndarray, crops: np.random.Generator | None) -> torch.Tensor:
    """Normalized float `[image, RGB, row, col]`; with `crops`, shifted by up to 4 pixels and mirrored at random."""
    pictures = images.pictures[chosen]
    if crops is not None:
        padded = np.pad(pictures, ((0, 0), (4, 4), (4, 4), (0, 0)), mode="reflect")
        rows, cols = crops.integers(0, 9, (2, len(chosen)))
        for number, (row, col, mirrored) in enumerate(zip(rows, cols, crops.random(len(chosen)) < 0.5, strict=True)):
            crop = padded[number, row : row + SIDE, col : col + SIDE]
            pictures[number] = crop[:, ::-1] if mirrored else crop
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div_(255)
    mean, std = torch.tensor(MEAN).view(1, 3, 1, 1), torch.tensor(STD).view(1, 3, 1, 1)
    return x.sub_(mean).div_(std).contiguous(memory_format=torch.channels_last)


def side_at(progress: float) -> int:
    """Side of the training images in pixels: small and cheap at first, full size for the last half."""
    return min(SIDE, 40 + 8 * int(progress * 6))


def rate_at(progress: float, peak: float) -> float:
    """One-cycle learning rate: a linear warm-up over the first fifth, then a cosine down to nothing."""
    if progress < 0.2:
        return peak * (0.04 + 0.96 * progress / 0.2)
    return peak * 0.5 * (1 + math.cos(math.pi * (progress - 0.2) / 0.8))


def make_optimizer(network: nn.Module, rate: float, decay: float) -> torch.optim.SGD:
    """SGD with Nesterov momentum; norms and biases are left out of the weight decay."""
    kernels = [p for p in network.parameters() if p.ndim > 1]
    rest = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": kernels, "weight_decay": decay}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=rate, momentum=0.9, nesterov=True)


def train_step(
    network: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor, labels: torch.Tensor, smoothing: float
) -> float:
    """One step on one batch; gives the loss."""
    with torch.autocast("cpu" if x.device.type == "cpu" else "cuda", torch.bfloat16):
        logits = network(x)
    loss = nn.functional.cross_entropy(logits.float(), labels, label_smoothing=smoothing)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return float(loss.detach())


@torch.no_grad()
def accuracy(network: nn.Module, images: Images, device: torch.device) -> float:
    """Top-1 accuracy, 0..1, in float32."""
    network.eval()
    right = 0
    for start in range(0, len(images.labels), 500):
        chosen = np.arange(start, min(start + 500, len(images.labels)))
        guess = network(batch(images, chosen, None).to(device)).argmax(1).cpu().numpy()
        right += int((guess == images.labels[chosen]).sum())
    network.train()
    return right / len(images.labels)


def write_whole(path: Path, save: Callable[[Path], object]) -> None:
    """Write under a temporary name, then rename: a killed run leaves the old file or the new one."""
    waiting = path.with_name(path.name + ".part")
    save(waiting)
    waiting.chmod(0o644)
    os.replace(waiting, path)


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; `--help` tells the defaults."""
    parser = argparse.ArgumentParser(
        prog="python -m generator.models.bundled.train",
        description="Train the bundled network on Tiny-ImageNet; the same command again resumes.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="the Tiny-ImageNet zip")
    parser.add_argument("--out", type=Path, default=Path("runs/bundled"), help="folder for checkpoints and the weights")
    parser.add_argument("--epochs", type=int, default=18)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=256, help="images a step")
    parser.add_argument("--rate", type=float, default=0.6, help="peak learning rate")
    parser.add_argument("--decay", type=float, default=5e-4, help="weight decay of the kernels")
    parser.add_argument("--smoothing", type=float, default=0.1, help="label smoothing")
    parser.add_argument("--images", type=int, default=None, help="train on this many images only (for a try)")
    return parser.parse_args(arguments)


def train(options: argparse.Namespace) -> float:
    """Train to the end, resuming where a checkpoint is; gives the validation accuracy, 0..1."""
    torch.manual_seed(options.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with zipfile.ZipFile(options.data) as archive:
        classes, _ = read_classes(archive)
        training = read_split(archive, "train", classes, options.images)
        validation = read_split(archive, "val", classes, options.images)
    print(f"{len(training.labels):,} training and {len(validation.labels):,} validation images, {device}", flush=True)
    network = TinyInception(len(classes)).to(device).to(memory_format=torch.channels_last)
    optimizer = make_optimizer(network, options.rate, options.decay)
    options.out.mkdir(parents=True, exist_ok=True)
    checkpoint = options.out / "checkpoint.pt"
    first = resume(checkpoint, network, optimizer, options)
    share = accuracy(network, validation, device) if first == options.epochs else 0.0
    for epoch in range(first, options.epochs):
        share = train_epoch(network, optimizer, training, validation, epoch, options, device)
        state = {"network": network.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch + 1, "of": options.epochs}
        write_whole(checkpoint, partial(torch.save, state))
    save_weights(network, options, share)
    return share


def resume(checkpoint: Path, network: nn.Module, optimizer: torch.optim.Optimizer, options: argparse.Namespace) -> int:
    """Load the checkpoint if there is one; gives the epoch to go on with."""
    if not checkpoint.exists():
        return 0
    state = torch.load(checkpoint, weights_only=True)
    if state["of"] != options.epochs:
        sys.exit(f"{checkpoint}: was begun with --epochs {state['of']}, not {options.epochs}; choose another --out")
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    print(f"resumed after epoch {state['epoch']}", flush=True)
    return int(state["epoch"])


def train_epoch(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    training: Images,
    validation: Images,
    epoch: int,
    options: argparse.Namespace,
    device: torch.device,
) -> float:
    """One pass over the training images; prints and gives the validation accuracy, 0..1."""
    started = time.monotonic()
    # Drawn from (seed, epoch), so that a resumed run sees the very batches an unbroken one would have.
    draws = np.random.default_rng((options.seed, epoch))
    torch.manual_seed(options.seed * 1000 + epoch)
    order = draws.permutation(len(training.labels))
    steps = max(1, len(order) // options.batch)
    losses = []
    for step in range(steps):
        progress = (epoch + step / steps) / options.epochs
        for group in optimizer.param_groups:
            group["lr"] = rate_at(progress, options.rate)
        chosen = order[step * options.batch : (step + 1) * options.batch]
        x = batch(training, chosen, draws).to(device)
        if side_at(progress) < SIDE:
            x = nn.functional.interpolate(x, size=side_at(progress), mode="bilinear", antialias=True)
        labels = torch.from_numpy(training.labels[chosen]).to(device)
        losses.append(train_step(network, optimizer, x, labels, options.smoothing))
        if step % 50 == 49:
            print(f"  step {step + 1}/{steps} loss {np.mean(losses[-50:]):.3f}", flush=True)
    share = accuracy(network, validation, device)
    seconds = time.monotonic() - started
    print(f"epoch {epoch + 1}/{options.epochs}: loss {np.mean(losses):.3f}, top-1 {share:.2%}, {seconds:.0f} s", flush=True)
    return share


def save_weights(network: nn.Module, options: argparse.Namespace, share: float) -> None:
    """The trained weights as float16 safetensors, with what made them as metadata."""
    tensors = {
        name: tensor.detach().cpu().contiguous().to(torch.float16 if tensor.is_floating_point() else tensor.dtype)
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    facts = {"architecture": "tiny_inception", "epochs": str(options.epochs), "seed": str(options.seed)}
    facts |= {"data": "Tiny-ImageNet, 202 classes", "validation_top1": f"{share:.4f}"}
    path = options.out / "tiny_inception.safetensors"
    write_whole(path, lambda part: save_file(tensors, part, facts))
    print(f"validation accuracy {share:.2%}; weights in {path}", flush=True)


if __name__ == "__main__":
    train(parse_arguments())
