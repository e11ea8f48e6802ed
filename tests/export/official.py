"""Checkpoints with the names and shapes of others' networks, and random values.

Written from the sources' own descriptions, not from the tables that are tested.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Arrays = dict[str, NDArray[np.float32]]


class Slim:
    """Variables as TensorFlow's slim names them."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.variables: Arrays = {}

    def add(self, name: str, *shape: int, scale: float = 1.0, offset: float = 0.0) -> None:
        values = self.rng.standard_normal(shape, np.float32)
        self.variables[name] = values * np.float32(scale) + np.float32(offset)

    def norm(self, scope: str, channels: int) -> None:
        for part in ("beta", "moving_mean"):
            self.add(f"{scope}/BatchNorm/{part}", channels, scale=0.1)
        self.add(f"{scope}/BatchNorm/gamma", channels, scale=0.05, offset=0.8)
        variance = self.rng.uniform(0.5, 1.5, channels).astype(np.float32)
        self.variables[f"{scope}/BatchNorm/moving_variance"] = variance

    def conv(self, scope: str, kernel: int, inputs: int, outputs: int) -> None:
        scale = (2 / (kernel * kernel * inputs)) ** 0.5
        self.add(f"{scope}/weights", kernel, kernel, inputs, outputs, scale=scale)
        self.norm(scope, outputs)

    def separable(self, scope: str, inputs: int, outputs: int) -> None:
        self.add(f"{scope}_depthwise/depthwise_weights", 3, 3, inputs, 1, scale=0.4)
        self.norm(f"{scope}_depthwise", inputs)
        self.conv(f"{scope}_pointwise", 1, inputs, outputs)

    def xception(self, scope: str, entry: Iterable[int], middle: int) -> None:
        self.conv(f"{scope}/entry_flow/conv1_1", 3, 3, 32)
        self.conv(f"{scope}/entry_flow/conv1_2", 3, 32, 64)
        channels = 64
        for block, depth in enumerate(entry, 1):
            at = f"{scope}/entry_flow/block{block}/unit_1/xception_module"
            self.module(at, channels, (depth,) * 3, shortcut=True)
            channels = depth
        for unit in range(1, middle + 1):
            at = f"{scope}/middle_flow/block1/unit_{unit}/xception_module"
            self.module(at, 728, (728,) * 3, shortcut=False)
        at = f"{scope}/exit_flow/block1/unit_1/xception_module"
        self.module(at, 728, (728, 1024, 1024), shortcut=True)
        at = f"{scope}/exit_flow/block2/unit_1/xception_module"
        self.module(at, 1024, (1536, 1536, 2048), shortcut=False)

    def module(self, at: str, inputs: int, depths: tuple[int, ...], *, shortcut: bool) -> None:
        if shortcut:
            self.conv(f"{at}/shortcut", 1, inputs, depths[-1])
        for index, depth in enumerate(depths, 1):
            self.separable(f"{at}/separable_conv{index}", inputs, depth)
            inputs = depth

    def resnet_beta(self, scope: str, units: Iterable[int]) -> None:
        channels = 3
        for index, depth in enumerate((64, 64, 128), 1):
            self.conv(f"{scope}/conv1_{index}", 3, channels, depth)
            channels = depth
        for block, count in enumerate(units, 1):
            depth = 32 * 2**block
            for unit in range(1, count + 1):
                at = f"{scope}/block{block}/unit_{unit}/bottleneck_v1"
                if unit == 1:
                    self.conv(f"{at}/shortcut", 1, channels, 4 * depth)
                self.conv(f"{at}/conv1", 1, channels, depth)
                self.conv(f"{at}/conv2", 3, depth, depth)
                self.conv(f"{at}/conv3", 1, depth, 4 * depth)
                channels = 4 * depth

    def mobilenet_v2(self, width: float = 1.0) -> None:
        channels = int(32 * width)
        self.conv("MobilenetV2/Conv", 3, 3, channels)
        depths = (16, *[24] * 2, *[32] * 3, *[64] * 4, *[96] * 3, *[160] * 3, 320)
        for index, depth in enumerate(int(depth * width) for depth in depths):
            at = "MobilenetV2/expanded_conv" + (f"_{index}" if index else "")
            inner = channels
            if index:
                inner = 6 * channels
                self.conv(f"{at}/expand", 1, channels, inner)
            self.add(f"{at}/depthwise/depthwise_weights", 3, 3, inner, 1, scale=0.4)
            self.norm(f"{at}/depthwise", inner)
            self.conv(f"{at}/project", 1, inner, depth)
            channels = depth

    def head(
        self, encoder: int, classes: int, low_level: int | None, *, branches: int, separable: bool
    ) -> None:
        self.conv("image_pooling", 1, encoder, 256)
        self.conv("aspp0", 1, encoder, 256)
        for branch in range(1, branches + 1):
            self.conv3(f"aspp{branch}", encoder, separable=separable)
        self.conv("concat_projection", 1, 256 * (2 + branches), 256)
        if low_level is not None:
            self.conv("decoder/feature_projection0", 1, low_level, 48)
            scopes = ("conv0", "conv1")
            if not separable:
                scopes = ("conv0/decoder_conv0_1", "conv0/decoder_conv0_2")
            for scope, inputs in zip(scopes, (304, 256), strict=True):
                self.conv3(f"decoder/decoder_{scope}", inputs, separable=separable)
        self.add("logits/semantic/weights", 1, 1, 256, classes, scale=0.1)
        self.add("logits/semantic/biases", classes)

    def conv3(self, scope: str, inputs: int, *, separable: bool) -> None:
        if separable:
            self.separable(scope, inputs, 256)
        else:
            self.conv(scope, 3, inputs, 256)


class TorchNames:
    """State dicts as torchvision and timm name them."""

    def __init__(self, seed: int = 0) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.state: dict[str, Tensor] = {}

    def conv(self, name: str, inputs: int, outputs: int, kernel: int) -> None:
        scale = (2 / (inputs * kernel * kernel)) ** 0.5
        shape = (outputs, inputs, kernel, kernel)
        self.state[f"{name}.weight"] = torch.randn(shape, generator=self.generator) * scale

    def norm(self, name: str, channels: int) -> None:
        values = [torch.rand(channels, generator=self.generator) for _ in range(4)]
        self.state[f"{name}.weight"] = 0.7 + 0.2 * values[0]
        self.state[f"{name}.bias"] = 0.2 * values[1] - 0.1
        self.state[f"{name}.running_mean"] = 0.2 * values[2] - 0.1
        self.state[f"{name}.running_var"] = 0.5 + values[3]
        self.state[f"{name}.num_batches_tracked"] = torch.tensor(7)

    def both(self, conv: str, norm: str, inputs: int, outputs: int, kernel: int = 1) -> None:
        self.conv(conv, inputs, outputs, kernel)
        self.norm(norm, outputs)
        # Faint channels, in whose variance the epsilon is most of what there is.
        self.state[f"{conv}.weight"][::8] *= 1e-3
        self.state[f"{norm}.running_var"][::8] *= 1e-6

    def depthwise(self, conv: str, norm: str, channels: int) -> None:
        self.both(conv, norm, 1, channels, 3)

    def linear(self, name: str, inputs: int) -> None:
        self.state[f"{name}.weight"] = torch.zeros(1000, inputs)
        self.state[f"{name}.bias"] = torch.zeros(1000)


def resnet(units: tuple[int, ...]) -> dict[str, Tensor]:
    """ResNet-50 and -101 of torchvision and timm."""
    names = TorchNames()
    names.both("conv1", "bn1", 3, 64, 7)
    channels = 64
    for layer, count in enumerate(units, 1):
        depth = 32 * 2**layer
        for unit in range(count):
            at = f"layer{layer}.{unit}"
            names.both(f"{at}.conv1", f"{at}.bn1", channels, depth)
            names.both(f"{at}.conv2", f"{at}.bn2", depth, depth, 3)
            names.both(f"{at}.conv3", f"{at}.bn3", depth, 4 * depth)
            if unit == 0:
                names.both(f"{at}.downsample.0", f"{at}.downsample.1", channels, 4 * depth)
            channels = 4 * depth
    names.linear("fc", channels)
    return names.state


def timm_xception(entry: tuple[int, ...], middle: int) -> dict[str, Tensor]:
    names = TorchNames()
    names.both("stem.0.conv", "stem.0.bn", 3, 32, 3)
    names.both("stem.1.conv", "stem.1.bn", 32, 64, 3)
    blocks = [(depth,) * 3 for depth in (*entry, *[728] * middle)]
    blocks += [(728, 1024, 1024), (1536, 1536, 2048)]
    channels = 64
    for index, depths in enumerate(blocks):
        inputs = channels
        for conv, depth in enumerate(depths, 1):
            at = f"blocks.{index}.stack.conv{conv}"
            names.depthwise(f"{at}.conv_dw", f"{at}.bn_dw", inputs)
            names.both(f"{at}.conv_pw", f"{at}.bn_pw", inputs, depth)
            inputs = depth
        if index < len(entry) or index == len(blocks) - 2:
            at = f"blocks.{index}.shortcut"
            names.both(f"{at}.conv", f"{at}.bn", channels, inputs)
        channels = inputs
    names.linear("head.fc", channels)
    return names.state


STAGES = ((16, 1), (24, 2), (32, 3), (64, 4), (96, 3), (160, 3), (320, 1))


def timm_mobilenet() -> dict[str, Tensor]:
    names = TorchNames()
    names.both("conv_stem", "bn1", 3, 32, 3)
    names.depthwise("blocks.0.0.conv_dw", "blocks.0.0.bn1", 32)
    names.both("blocks.0.0.conv_pw", "blocks.0.0.bn2", 32, 16)
    channels = 16
    for stage, (depth, count) in enumerate(STAGES[1:], 1):
        for unit in range(count):
            at = f"blocks.{stage}.{unit}"
            names.both(f"{at}.conv_pw", f"{at}.bn1", channels, 6 * channels)
            names.depthwise(f"{at}.conv_dw", f"{at}.bn2", 6 * channels)
            names.both(f"{at}.conv_pwl", f"{at}.bn3", 6 * channels, depth)
            channels = depth
    names.both("conv_head", "bn2", 320, 1280)
    names.linear("classifier", 1280)
    return names.state


def torchvision_mobilenet() -> dict[str, Tensor]:
    names = TorchNames()
    names.both("features.0.0", "features.0.1", 3, 32, 3)
    names.depthwise("features.1.conv.0.0", "features.1.conv.0.1", 32)
    names.both("features.1.conv.1", "features.1.conv.2", 32, 16)
    channels, number = 16, 2
    for depth, count in STAGES[1:]:
        for _ in range(count):
            at = f"features.{number}.conv"
            names.both(f"{at}.0.0", f"{at}.0.1", channels, 6 * channels)
            names.depthwise(f"{at}.1.0", f"{at}.1.1", 6 * channels)
            names.both(f"{at}.2", f"{at}.3", 6 * channels, depth)
            channels, number = depth, number + 1
    names.both("features.18.0", "features.18.1", 320, 1280)
    names.linear("classifier.1", 1280)
    return names.state
