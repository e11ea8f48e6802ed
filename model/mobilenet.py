"""MobileNetV2 (arXiv 1801.04381) as the encoder, up to its last inverted residual."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from model.backbone import Backbone, Unit
from model.layers import BatchNorm, ConvNorm, relu6, scale_channels

NORM = BatchNorm(eps=1e-3, decay=0.997)
ENDPOINTS = {"conv2": 2, "conv3": 5}
"""The depthwise outputs of layers 4 and 7 in the original's count."""


class Row(NamedTuple):
    expansion: int
    channels: int
    repeats: int
    stride: int


ROWS = (
    Row(1, 16, 1, 1),
    Row(6, 24, 2, 2),
    Row(6, 32, 3, 2),
    Row(6, 64, 4, 2),
    Row(6, 96, 3, 1),
    Row(6, 160, 3, 2),
    Row(6, 320, 1, 1),
)


class InvertedResidual(Unit):
    """1x1 expansion, strided depthwise 3x3, linear 1x1 projection.

    The endpoint is the depthwise output, after BatchNorm and ReLU6.
    """

    def __init__(self, in_channels: int, out_channels: int, expansion: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.out_channels = out_channels
        self.endpoint_channels = expanded = in_channels * expansion
        self.residual = stride == 1 and in_channels == out_channels
        self.expand = (
            ConvNorm(in_channels, expanded, 1, NORM, activation=relu6)
            if expansion > 1
            else nn.Identity()
        )
        self.depthwise = ConvNorm(
            expanded, expanded, 3, NORM, stride=stride, depthwise=True, activation=relu6
        )
        self.project = ConvNorm(expanded, out_channels, 1, NORM, activation=None)

    def place(self, stride: int, rate: int) -> None:
        self.depthwise.place(stride, rate)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        endpoint = self.depthwise(self.expand(x))
        output = self.project(endpoint)
        return (x + output if self.residual else output), endpoint


def mobilenet_v2(
    output_stride: int, width_multiplier: float = 1.0, width_divisor: int = 8
) -> Backbone:
    """Build MobileNetV2 with its channels scaled by `width_multiplier`."""
    channels = scale_channels(32, width_multiplier, width_divisor)
    root = ConvNorm(3, channels, 3, NORM, stride=2, activation=relu6)
    units: list[Unit] = []
    for row in ROWS:
        for index in range(row.repeats):
            out_channels = scale_channels(row.channels, width_multiplier, width_divisor)
            stride = row.stride if index == 0 else 1
            units.append(InvertedResidual(channels, out_channels, row.expansion, stride))
            channels = out_channels
    return Backbone(root, 2, units, ENDPOINTS, output_stride)
