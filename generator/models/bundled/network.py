"""The bundled network: a small InceptionV1 for 64 x 64 images.

Its layer names follow InceptionV1 as the Circuits thread writes them (`conv0`, `mixed3a`), and a branch of a mixed layer is
named for its kernel: `b1`, `b3`, `b5` and `bp` (the pool), with an `r` for the 1 x 1 bottleneck before it (`b3r`, `b5r`).
"""

from __future__ import annotations

import torch
from torch import nn

CLASSES = 202
SIDE = 64  # pixels
MEAN = (0.480, 0.448, 0.398)  # of Tiny-ImageNet's training images, RGB 0..1
STD = (0.277, 0.269, 0.282)


class ConvBlock(nn.Sequential):
    """Convolution, batch norm, ReLU; keeps the map's size at stride 1."""

    def __init__(self, inputs: int, units: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, units, kernel, stride, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(units)
        self.relu = nn.ReLU()


class Mixed(nn.Module):
    """Four branches side by side: 1x1 | 1x1 -> 3x3 | 1x1 -> 5x5 | max pool -> 1x1."""

    def __init__(self, inputs: int, widths: tuple[int, int, int, int], bottlenecks: tuple[int, int]) -> None:
        super().__init__()
        one, three, five, pooled = widths
        self.b1 = ConvBlock(inputs, one, 1)
        self.b3r = ConvBlock(inputs, bottlenecks[0], 1)
        self.b3 = ConvBlock(bottlenecks[0], three, 3)
        self.b5r = ConvBlock(inputs, bottlenecks[1], 1)
        self.b5 = ConvBlock(bottlenecks[1], five, 5)
        self.pool = nn.MaxPool2d(3, stride=1, padding=1)
        self.bp = ConvBlock(inputs, pooled, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`[image, input, row, col]` to `[image, unit, row, col]`, the units of the four branches in order."""
        return torch.cat([self.b1(x), self.b3(self.b3r(x)), self.b5(self.b5r(x)), self.bp(self.pool(x))], 1)


class TinyInception(nn.Module):
    """0.49 M parameters; two plain convolutions, four mixed layers, global average pool, linear classifier."""

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        self.conv0 = ConvBlock(3, 32, 7, stride=2)
        self.pool0 = nn.MaxPool2d(3, stride=2, padding=1)
        self.conv1 = ConvBlock(32, 64, 5)
        self.mixed3a = Mixed(64, (32, 48, 32, 16), (32, 16))
        self.mixed3b = Mixed(128, (48, 80, 40, 24), (48, 16))
        self.pool3 = nn.MaxPool2d(3, stride=2, padding=1)
        self.mixed4a = Mixed(192, (64, 112, 56, 24), (64, 24))
        self.mixed4b = Mixed(256, (64, 112, 56, 24), (64, 24))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.drop = nn.Dropout(0.2)
        self.classifier = nn.Linear(256, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalized RGB `[image, 3, row, col]` to logits `[image, class]`."""
        x = self.conv1(self.pool0(self.conv0(x)))
        x = self.mixed3b(self.mixed3a(x))
        x = self.mixed4b(self.mixed4a(self.pool3(x)))
        return self.classifier(self.drop(torch.flatten(self.pool(x), 1)))
