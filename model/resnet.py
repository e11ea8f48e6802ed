"""ResNet in the released "beta" form: a root of three 3x3, strides in the last unit of a block."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from model.backbone import Backbone, Unit
from model.layers import BatchNorm, ConvNorm, scale_channels

NORM = BatchNorm(eps=1e-5, decay=0.95)
MULTI_GRID = (1, 2, 4)
"""Unit rates of block 4 that DeepLabv3 found best together with ASPP."""
ENDPOINTS = {"conv2": 1, "conv3": 5}
"""block1/unit_2 and block2/unit_3."""


class Row(NamedTuple):
    bottleneck: int
    units: int
    stride: int


def rows(block3_units: int) -> tuple[Row, ...]:
    return (Row(64, 3, 2), Row(128, 4, 2), Row(256, block3_units, 2), Row(512, 3, 1))


VARIANTS = {"resnet_50": rows(6), "resnet_101": rows(23)}


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
    """Build ResNet-50 or -101 with multi-grid in the last block, (1, 2, 4) unless given."""
    variant = VARIANTS[name]
    units: list[Unit] = []
    stem = scale_channels(64, width_multiplier)
    channels = 2 * stem
    for row in variant:
        last_block = row is variant[-1]
        bottleneck = scale_channels(row.bottleneck, width_multiplier)
        for index in range(row.units):
            stride = row.stride if index == row.units - 1 else 1
            unit_rate = (multi_grid or MULTI_GRID)[index] if last_block else 1
            units.append(Bottleneck(channels, bottleneck, stride, unit_rate))
            channels = units[-1].out_channels
    root = nn.Sequential(
        ConvNorm(3, stem, 3, NORM, stride=2),
        ConvNorm(stem, stem, 3, NORM),
        ConvNorm(stem, 2 * stem, 3, NORM),
        nn.MaxPool2d(3, stride=2, padding=1),
    )
    return Backbone(root, 4, units, ENDPOINTS, output_stride)
