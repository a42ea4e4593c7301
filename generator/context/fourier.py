"""Images as Fourier coefficients in decorrelated colours, so that frequencies and colours begin as they are in natural images.

After Olah, Mordvintsev & Schubert, *Feature Visualization* (Distill 2017): the spectrum falls with 1/f, as that of natural
images does, and three uncorrelated colours are mixed by a square root of the covariance of natural images' colours.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

# Rows are red, green, blue. The columns are the principal colours (light and dark, orange and blue, magenta and green) of the
# 10,100 validation images of Tiny-ImageNet, each times its deviation, all divided by the largest length: what
# `python -m generator.models.bundled.visualize --data tiny-imagenet.zip --colours` prints.
COLOURS = (
    (0.5652, 0.2261, 0.0554),
    (0.5839, -0.0045, -0.1143),
    (0.5828, -0.2147, 0.0608),
)
NOISE = 0.01  # deviation of a coefficient to begin with
GAIN = 0.25  # of the spectrum; with the optimizer's rate it sets how far a step goes


def first_coefficients(channels: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Faint noise to begin with: float32 `[channel, row, frequency, real|imaginary]` for an image of rows, cols."""
    return NOISE * torch.randn(channels, size[0], size[1] // 2 + 1, 2, generator=generator)


def to_images(coefficients: Tensor, size: tuple[int, int]) -> Tensor:
    """Images 0..1 `[image, channel, row, col]` of coefficients `[image, channel, row, frequency, real|imaginary]`.

    Three channels are taken for red, green and blue; of any other number each stands for itself.
    """
    spectrum = torch.view_as_complex(coefficients) * spectrum_scale(size).to(coefficients.device)
    images = torch.fft.irfft2(spectrum, s=size)
    if images.shape[1] == 3:
        images = torch.einsum("icyx,dc->idyx", images, torch.tensor(COLOURS, device=images.device))
    return torch.sigmoid(images)


def spectrum_scale(size: tuple[int, int]) -> Tensor:
    """What a coefficient of 1 stands for, `[row, frequency]`: 1/f, f in cycles a pixel; the mean counts as half the lowest f.

    A steeper mean makes first layers choose flat colours over gratings, a lower one leaves flat colours half done.
    """
    rows, cols = torch.fft.fftfreq(size[0])[:, None], torch.fft.rfftfreq(size[1])[None]
    height = GAIN * (size[0] * size[1]) ** 0.5
    return height / torch.sqrt(rows**2 + cols**2).clamp(min=0.5 / max(size))


def colour_root(pictures: np.ndarray) -> np.ndarray:
    """What COLOURS holds, of pictures uint8 `[image, row, col, RGB]`: float64 `[RGB, colour]`, strongest colour first.

    The covariance is that of all pixels of all pictures about their common mean.
    """
    pixels = pictures.reshape(-1, 3)
    mean = pixels.mean(0)
    parts = np.array_split(pixels, 1 + (len(pixels) >> 20))
    power, colours = np.linalg.eigh(sum((part - mean).T @ (part - mean) for part in parts) / len(pixels))
    root = (colours * np.sqrt(power.clip(0)))[:, ::-1]
    root = root * np.where(root[0] < 0, -1, 1)
    return root / max(np.linalg.norm(root, axis=0).max(), np.finfo(float).tiny)
