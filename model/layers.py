"""The convolutions that every part of the network is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.atrous import place

Activation = Callable[[], nn.Module]


def relu() -> nn.Module:
    return nn.ReLU(inplace=True)


def relu6() -> nn.Module:
    return nn.ReLU6(inplace=True)


@dataclass(frozen=True)
class BatchNorm:
    """BatchNorm as TensorFlow states it: epsilon and the decay of the running statistics."""

    eps: float
    decay: float

    def __call__(self, channels: int) -> nn.BatchNorm2d:
        return nn.BatchNorm2d(channels, eps=self.eps, momentum=1 - self.decay)


HEAD_NORM = BatchNorm(eps=1e-5, decay=0.9997)
"""BatchNorm of ASPP and decoder; each backbone states its own."""


def scale_channels(channels: int, multiplier: float, divisor: int = 8) -> int:
    """Channels times multiplier, rounded to a multiple and never more than 10 % down."""
    scaled = max(divisor, int(channels * multiplier + divisor / 2) // divisor * divisor)
    return scaled + divisor if scaled < 0.9 * channels * multiplier else scaled


class ConvNorm(nn.Module):
    """Convolution without bias, BatchNorm, optional activation.

    Maps [N, in, H, W] to [N, out, ceil(H / stride), ceil(W / stride)].
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        norm: BatchNorm,
        *,
        stride: int = 1,
        rate: int = 1,
        depthwise: bool = False,
        activation: Activation | None = relu,
    ) -> None:
        super().__init__()
        groups = in_channels if depthwise else 1
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, groups=groups, bias=False)
        self.norm = norm(out_channels)
        self.activation = activation() if activation else nn.Identity()
        self.place(stride, rate)

    def place(self, stride: int = 1, rate: int = 1) -> None:
        place(self.conv, stride, rate)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.norm(self.conv(x)))


class SeparableConv(nn.Module):
    """Atrous separable convolution: a depthwise 3x3, then a pointwise 1x1 (section 3.1).

    With `activation` it is depthwise, BN, ReLU, pointwise, BN, ReLU, as in the head and the end
    of Xception; without, neither ReLU is there and the caller activates the input (Xception's
    residual units).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        norm: BatchNorm,
        *,
        rate: int = 1,
        activation: Activation | None = relu,
    ) -> None:
        super().__init__()
        self.depthwise = ConvNorm(
            in_channels, in_channels, 3, norm, rate=rate, depthwise=True, activation=activation
        )
        self.pointwise = ConvNorm(in_channels, out_channels, 1, norm, activation=activation)

    def place(self, stride: int = 1, rate: int = 1) -> None:
        self.depthwise.place(stride, rate)

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(x))


def head_conv(
    in_channels: int, out_channels: int, kernel: int, *, separable: bool
) -> ConvNorm | SeparableConv:
    """A convolution of ASPP or decoder; only a 3x3 has a separable form."""
    if separable and kernel == 3:
        return SeparableConv(in_channels, out_channels, HEAD_NORM)
    return ConvNorm(in_channels, out_channels, kernel, HEAD_NORM)


def resize(x: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Bilinear resize of [N, C, h, w] to [N, C, *size] with aligned corners.

    Aligned corners keep the grid of a 16k+1 input in place at every stride, so masks do not
    shift against the picture.
    """
    return F.interpolate(x, size=size, mode="bilinear", align_corners=True)
