"""Small random shifts, turns and changes of size, so that an image holds for more than one exact place."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def transformed(images: Tensor, turn: Tensor) -> Tensor:
    """Images `[image, channel, row, col]`, all moved alike, bilinearly; what comes in from outside is mirrored.

    turn: `[2, 3]`, as `draw_turn` gives it.
    """
    grid = nn.functional.affine_grid(turn[None], [1, *images.shape[1:]], align_corners=False)
    grid = grid.to(images.device).expand(len(images), -1, -1, -1)
    return nn.functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def draw_turn(size: tuple[int, int], generator: torch.Generator, jitter: float, scale: float, rotation: float) -> Tensor:
    """Where a random transformation takes its pixels from: float32 `[col|row, col|row|shift]`, in halves of an image.

    Args:
        size: rows, cols.
        generator: gives the dice, on the CPU.
        jitter: the shift is at most this many pixels each way.
        scale: the image becomes at most this share larger, or as much smaller.
        rotation: at most this many degrees each way.
    """
    draws = (2 * torch.rand(4, generator=generator) - 1).tolist()
    angle, zoom = math.radians(rotation) * draws[0], math.exp(-math.log1p(scale) * draws[1])
    rows, cols = size
    cosine, sine = zoom * math.cos(angle), zoom * math.sin(angle)
    across = [cosine, -sine * rows / cols, 2 * jitter / cols * draws[2]]
    down = [sine * cols / rows, cosine, 2 * jitter / rows * draws[3]]
    return torch.tensor([across, down])
