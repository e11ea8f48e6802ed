"""The networks of others, written a second time as plain functions to compare with.

Nothing of `model/` that holds weights is used here, so that a tensor which went astray on its way
into this project's modules shows as a difference. Everything runs in float64 at output stride 16.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from export.weights.source import Names, State
from model import OutputStride
from model.atrous import atrous_schedule

OUTPUT_STRIDE: OutputStride = 16


class Layer(NamedTuple):
    """A convolution and its BatchNorm, which has become a factor and a summand."""

    weight: Tensor
    scale: Tensor
    shift: Tensor

    def __call__(
        self, x: Tensor, stride: int = 1, rate: int = 1, *, padded: bool = False
    ) -> Tensor:
        """Convolve; `padded` says that x carries its padding already."""
        depthwise = self.weight.shape[1] == 1 and x.shape[1] == self.weight.shape[0]
        x = F.conv2d(
            x,
            self.weight,
            stride=stride,
            padding=0 if padded else rate * (self.weight.shape[-1] // 2),
            dilation=rate,
            groups=x.shape[1] if depthwise else 1,
        )
        return x * self.scale[:, None, None] + self.shift[:, None, None]


def read_layer(state: State, names: Names) -> Layer:
    weight, gamma, beta, mean, variance = (state[name].double() for name in names[:5])
    scale = gamma / (variance + names.eps).sqrt()
    return Layer(weight, scale, beta - mean * scale)


class Features(NamedTuple):
    encoder: Tensor
    low_level: Tensor
    """Of stride 4, as the released decoder takes it."""


class Bottleneck(NamedTuple):
    convs: tuple[Layer, Layer, Layer]
    shortcut: Layer | None


def resnet(
    image: Tensor, root: Sequence[Layer], units: Sequence[Bottleneck], strides: Sequence[int]
) -> Features:
    """ResNet on an image [N, 3, H, W] with the root's padding, without multi-grid."""
    x = F.relu(root[0](image, 2, padded=True))
    for layer in root[1:]:
        x = F.relu(layer(x))
    x = F.max_pool2d(x, 3, 2, 1)
    endpoints = []
    schedule = atrous_schedule(strides, OUTPUT_STRIDE, 4)
    for (convs, shortcut), (stride, rate) in zip(units, schedule, strict=True):
        y = F.relu(convs[0](x))
        y = convs[2](F.relu(convs[1](y, stride, rate)))
        endpoints.append(y)
        x = F.relu(y + (x[:, :, ::stride, ::stride] if shortcut is None else shortcut(x, stride)))
    return Features(x, endpoints[1])


class XceptionModule(NamedTuple):
    convs: Sequence[tuple[Layer, Layer]]
    """Three pairs of depthwise and pointwise."""
    shortcut: Layer | None


_XCEPTION_STRIDED = {13: (0, 1, 2, 11), 21: (0, 1, 2, 19), 23: (0, 2, 4, 21)}
"""Which of Xception-41's, -65's and -71's modules have stride 2."""


def xception(image: Tensor, root: Sequence[Layer], modules: Sequence[XceptionModule]) -> Features:
    """Modified Aligned Xception on an image [N, 3, H, W] with the root's padding."""
    x = F.relu(root[1](F.relu(root[0](image, 2, padded=True))))
    strided = _XCEPTION_STRIDED[len(modules)]
    strides = [2 if index in strided else 1 for index in range(len(modules))]
    schedule = atrous_schedule(strides, OUTPUT_STRIDE, 2)
    endpoints = []
    for module, (stride, rate) in zip(modules, schedule, strict=True):
        if module is modules[-1]:
            for depthwise, pointwise in module.convs:
                x = F.relu(pointwise(F.relu(depthwise(x, 1, rate))))
            break
        (dw1, pw1), (dw2, pw2), (dw3, pw3) = module.convs
        y = pw2(dw2(F.relu(pw1(dw1(F.relu(x), 1, rate))), 1, rate))
        endpoints.append(y)
        y = pw3(dw3(F.relu(y), stride, rate))
        x = y + (x if module.shortcut is None else module.shortcut(x, stride))
    return Features(x, endpoints[strided[1]])


class InvertedResidual(NamedTuple):
    expand: Layer | None
    depthwise: Layer
    project: Layer


_MOBILENET_STRIDES = (1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1)


def mobilenet_v2(image: Tensor, root: Layer, units: Sequence[InvertedResidual]) -> Features:
    """MobileNetV2 on an image [N, 3, H, W] with the root's padding."""
    x = F.relu6(root(image, 2, padded=True))
    endpoints = []
    schedule = atrous_schedule(_MOBILENET_STRIDES, OUTPUT_STRIDE, 2)
    for (expand, depthwise, project), (stride, rate) in zip(units, schedule, strict=True):
        y = x if expand is None else F.relu6(expand(x))
        y = F.relu6(depthwise(y, stride, rate))
        endpoints.append(y)
        y = project(y)
        x = x + y if y.shape == x.shape and stride == 1 else y
    return Features(x, endpoints[2])
