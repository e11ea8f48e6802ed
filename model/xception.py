"""Modified Aligned Xception (section 3.2, figure 4)."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from model.backbone import Backbone, Unit
from model.layers import BatchNorm, ConvNorm, SeparableConv, relu, scale_channels

NORM = BatchNorm(eps=1e-3, decay=0.9997)


class Row(NamedTuple):
    channels: tuple[int, int, int]
    stride: int = 1
    skip: Literal["conv", "sum", "none"] = "conv"
    repeats: int = 1
    inner_activation: bool = False


ENTRY = (Row((128, 128, 128), 2), Row((256, 256, 256), 2), Row((728, 728, 728), 2))
ENTRY_71 = (
    Row((128, 128, 128), 2),
    Row((256, 256, 256)),
    Row((256, 256, 256), 2),
    Row((728, 728, 728)),
    Row((728, 728, 728), 2),
)
EXIT = (
    Row((728, 1024, 1024), 2),
    Row((1536, 1536, 2048), skip="none", inner_activation=True),
)


def middle(repeats: int) -> tuple[Row, ...]:
    return (Row((728, 728, 728), skip="sum", repeats=repeats),)


class Variant(NamedTuple):
    rows: tuple[Row, ...]
    endpoints: dict[str, int]


VARIANTS = {
    "xception_41": Variant(ENTRY + middle(8) + EXIT, {"conv2": 1, "conv3": 2}),
    "xception_65": Variant(ENTRY + middle(16) + EXIT, {"conv2": 1, "conv3": 2}),
    "xception_71": Variant(ENTRY_71 + middle(16) + EXIT, {"conv2": 2, "conv3": 4}),
}


class XceptionUnit(Unit):
    """Three separable convolutions, the third strided, around a shortcut.

    The endpoint is the second convolution's output, after BatchNorm and before ReLU.
    """

    def __init__(self, in_channels: int, row: Row, unit_rates: tuple[int, int, int]) -> None:
        super().__init__()
        self.stride = row.stride
        self.out_channels = row.channels[-1]
        self.endpoint_channels = row.channels[1]
        self.skip = row.skip
        self.unit_rates = unit_rates
        self.inner_activation = row.inner_activation
        activation = relu if row.inner_activation else None
        inputs = (in_channels, *row.channels[:2])
        self.convs = nn.ModuleList(
            SeparableConv(i, o, NORM, activation=activation)
            for i, o in zip(inputs, row.channels, strict=True)
        )
        if row.skip == "conv":
            self.shortcut = ConvNorm(in_channels, self.out_channels, 1, NORM, activation=None)
        self.place(row.stride, 1)

    def place(self, stride: int, rate: int) -> None:
        strides = (1, 1, stride)
        for conv, conv_stride, unit_rate in zip(self.convs, strides, self.unit_rates, strict=True):
            assert isinstance(conv, SeparableConv)
            conv.place(conv_stride, rate * unit_rate)
        if self.skip == "conv":
            self.shortcut.place(stride)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        outputs = []
        residual = x
        for conv in self.convs:
            residual = conv(residual if self.inner_activation else F.relu(residual))
            outputs.append(residual)
        if self.skip == "conv":
            residual = residual + self.shortcut(x)
        elif self.skip == "sum":
            residual = residual + x
        return residual, outputs[1]


def xception(
    name: str,
    output_stride: int,
    multi_grid: tuple[int, int, int] | None = None,
    width_multiplier: float = 1.0,
) -> Backbone:
    """Build Xception-41, -65 or -71.

    The paper found no gain from multi-grid here; when given, it sets the rates of the three
    convolutions of the last unit.
    """
    variant = VARIANTS[name]
    units: list[Unit] = []
    stem, channels = scale_channels(32, width_multiplier), scale_channels(64, width_multiplier)
    root = nn.Sequential(ConvNorm(3, stem, 3, NORM, stride=2), ConvNorm(stem, channels, 3, NORM))
    for row in variant.rows:
        first, second, third = (scale_channels(width, width_multiplier) for width in row.channels)
        scaled = row._replace(channels=(first, second, third))
        for _ in range(row.repeats):
            last = row is variant.rows[-1]
            rates = multi_grid if multi_grid and last else (1, 1, 1)
            units.append(XceptionUnit(channels, scaled, rates))
            channels = third
    return Backbone(root, 2, units, variant.endpoints, output_stride)
