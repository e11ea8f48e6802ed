"""ResNet in two layouts: the released "beta" form, and the standard one of ImageNet weights.

Beta has a root of three 3x3 and strides in the last unit of a block; the standard layout has a
root of one 7x7 and strides in the first unit, in its 3x3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.backbone import Backbone, Unit
from model.layers import BatchNorm, ConvNorm, scale_channels

NORM = BatchNorm(eps=1e-5, decay=0.95)
MULTI_GRID = (1, 2, 4)
"""Unit rates of block 4 that DeepLabv3 found best together with ASPP."""
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Of ImageNet's pixels in 0..1; weights in the standard layout were trained on (x - mean) / std."""


class Standardise(nn.Module):
    """Float images in [-1, 1] as the standard layout's weights expect them: mean 0, deviation 1.

    A layer and not a change of weights: the padding of the convolution that follows is zero
    after it, as those weights were trained. Maps [N, 3, H, W] to [N, 3, H, W].
    """

    scale: Tensor
    shift: Tensor

    def __init__(self) -> None:
        super().__init__()
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
        self.register_buffer("scale", 0.5 / std, persistent=False)
        self.register_buffer("shift", (0.5 - mean) / std, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        return image * self.scale + self.shift


def beta_root(stem: int) -> nn.Sequential:
    return nn.Sequential(
        ConvNorm(3, stem, 3, NORM, stride=2),
        ConvNorm(stem, stem, 3, NORM),
        ConvNorm(stem, 2 * stem, 3, NORM),
        nn.MaxPool2d(3, stride=2, padding=1),
    )


def standard_root(stem: int) -> nn.Sequential:
    return nn.Sequential(
        Standardise(),
        ConvNorm(3, stem, 7, NORM, stride=2),
        nn.MaxPool2d(3, stride=2, padding=1),
    )


class Layout(NamedTuple):
    root: Callable[[int], nn.Sequential]
    """Makes the root for a number of channels of its first convolution."""
    root_expansion: int
    """Channels that the root gives out over those of its first convolution."""
    strides: tuple[int, int, int, int]
    """Of each block."""
    strided_unit: int
    """Index of the unit in a block that has the block's stride."""
    endpoints: dict[str, int]


BETA = Layout(beta_root, 2, (2, 2, 2, 1), -1, {"conv2": 1, "conv3": 5})
"""Endpoints are block1/unit_2 and block2/unit_3, as released."""
STANDARD = Layout(standard_root, 1, (1, 2, 2, 2), 0, {"conv2": 2, "conv3": 6})
"""Endpoints are the last units of blocks 1 and 2: as in beta the last ones at strides 4 and 8."""


class Variant(NamedTuple):
    layout: Layout
    units: tuple[int, int, int, int]
    """In each block."""


VARIANTS = {
    "resnet_50": Variant(BETA, (3, 4, 6, 3)),
    "resnet_101": Variant(BETA, (3, 4, 23, 3)),
    "resnet_50_standard": Variant(STANDARD, (3, 4, 6, 3)),
    "resnet_101_standard": Variant(STANDARD, (3, 4, 23, 3)),
}
STEM = 64
"""Channels of the root's first convolution."""
BOTTLENECKS = (64, 128, 256, 512)
"""Narrowest channels of each block's units."""


class Bottleneck(Unit):
    """1x1, strided 3x3, 1x1 to four times the bottleneck, around a shortcut.

    The endpoint is the last convolution's output before the residual sum and ReLU.
    """

    def __init__(self, in_channels: int, bottleneck: int, stride: int, unit_rate: int) -> None:
        super().__init__()
        self.stride = stride
        self.out_channels = self.endpoint_channels = 4 * bottleneck
        self.unit_rate = unit_rate
        self.conv1 = ConvNorm(in_channels, bottleneck, 1, NORM)
        self.conv2 = ConvNorm(bottleneck, bottleneck, 3, NORM)
        self.conv3 = ConvNorm(bottleneck, self.out_channels, 1, NORM, activation=None)
        self.shortcut: nn.Module
        if in_channels == self.out_channels:
            self.shortcut = nn.MaxPool2d(1, stride)
        else:
            self.shortcut = ConvNorm(in_channels, self.out_channels, 1, NORM, activation=None)
        self.place(stride, 1)

    def place(self, stride: int, rate: int) -> None:
        self.conv2.place(stride, rate * self.unit_rate)
        if isinstance(self.shortcut, ConvNorm):
            self.shortcut.place(stride)
        elif isinstance(self.shortcut, nn.MaxPool2d):
            self.shortcut.stride = stride

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        endpoint = self.conv3(self.conv2(self.conv1(x)))
        return F.relu(self.shortcut(x) + endpoint), endpoint


def resnet(
    name: str,
    output_stride: int,
    multi_grid: tuple[int, int, int] | None = None,
    width_multiplier: float = 1.0,
) -> Backbone:
    """Build a ResNet with multi-grid in the last block, (1, 2, 4) unless given."""
    layout, counts = VARIANTS[name]
    units: list[Unit] = []
    stem = scale_channels(STEM, width_multiplier)
    channels = layout.root_expansion * stem
    for width, count, block_stride in zip(BOTTLENECKS, counts, layout.strides, strict=True):
        bottleneck = scale_channels(width, width_multiplier)
        strides = [1] * count
        strides[layout.strided_unit] = block_stride
        last_block = width == BOTTLENECKS[-1]
        rates = (multi_grid or MULTI_GRID) if last_block else (1,) * count
        for stride, unit_rate in zip(strides, rates, strict=True):
            units.append(Bottleneck(channels, bottleneck, stride, unit_rate))
            channels = units[-1].out_channels
    return Backbone(layout.root(stem), 4, units, layout.endpoints, output_stride)
