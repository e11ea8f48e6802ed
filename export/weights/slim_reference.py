"""The official DeepLab networks as plain functions over their variables."""

from __future__ import annotations

import re

import torch
import torch.nn.functional as F
from torch import Tensor

from export.weights import reference
from export.weights.reference import Layer
from export.weights.source import Names, State

RATES = (6, 12, 18)


class Variables:
    """Layers of a checkpoint by their scope."""

    def __init__(self, state: State) -> None:
        self.state = state

    def __contains__(self, scope: str) -> bool:
        return f"{scope}/BatchNorm/gamma" in self.state

    def __call__(self, scope: str, eps: float = 1e-5) -> Layer:
        kind = "weights" if f"{scope}/weights" in self.state else "depthwise_weights"
        norm = f"{scope}/BatchNorm"
        return reference.read_layer(
            self.state,
            Names(
                weight=f"{scope}/{kind}",
                gamma=f"{norm}/gamma",
                beta=f"{norm}/beta",
                mean=f"{norm}/moving_mean",
                variance=f"{norm}/moving_variance",
                eps=eps,
            ),
        )

    def units(self, pattern: str) -> list[str]:
        """Scopes that match, sorted by the numbers in them."""
        found = {match[0] for name in self.state if (match := re.match(pattern, name))}
        return sorted(found, key=lambda scope: [int(n) for n in re.findall(r"\d+", scope)])


def run(state: State, image: Tensor) -> Tensor:
    """Logits before the last upsampling, or encoder features where there is no classifier."""
    variables = Variables(state)
    features = _backbone(variables, image)
    if "logits/semantic/weights" not in state:
        return features.encoder
    x = _aspp(variables, features.encoder)
    if "decoder/feature_projection0" in variables:
        x = _decoder(variables, x, features.low_level)
    bias = state["logits/semantic/biases"].double()
    return F.conv2d(x, state["logits/semantic/weights"].double(), bias)


def _backbone(variables: Variables, image: Tensor) -> reference.Features:
    (scope,) = {
        name.split("/")[0]
        for name in variables.state
        if name.startswith(("xception_", "resnet_v1_", "MobilenetV2"))
    }
    if scope.startswith("xception"):
        return _xception(variables, scope, image)
    if scope.startswith("resnet"):
        return _resnet(variables, scope, image)
    return _mobilenet(variables, image)


def _xception(variables: Variables, scope: str, image: Tensor) -> reference.Features:
    root = [variables(f"{scope}/entry_flow/conv1_{k}", 1e-3) for k in (1, 2)]
    modules = []
    for flow in ("entry", "middle", "exit"):
        for at in variables.units(rf"{scope}/{flow}_flow/block\d+/unit_\d+/xception_module"):
            convs = [
                (
                    variables(f"{at}/separable_conv{k}_depthwise", 1e-3),
                    variables(f"{at}/separable_conv{k}_pointwise", 1e-3),
                )
                for k in (1, 2, 3)
            ]
            shortcut = variables(f"{at}/shortcut", 1e-3) if f"{at}/shortcut" in variables else None
            modules.append(reference.XceptionModule(convs, shortcut))
    return reference.xception(image, root, modules)


def _resnet(variables: Variables, scope: str, image: Tensor) -> reference.Features:
    root = [variables(f"{scope}/conv1_{k}") for k in (1, 2, 3)]
    units, strides = [], []
    for block in range(1, 5):
        places = variables.units(rf"{scope}/block{block}/unit_\d+/bottleneck_v1")
        for at in places:
            first, middle, last = (variables(f"{at}/conv{k}") for k in (1, 2, 3))
            shortcut = variables(f"{at}/shortcut") if f"{at}/shortcut" in variables else None
            units.append(reference.Bottleneck((first, middle, last), shortcut))
            strides.append(2 if block < 4 and at == places[-1] else 1)
    return reference.resnet(image, root, units, strides)


def _mobilenet(variables: Variables, image: Tensor) -> reference.Features:
    units = []
    for at in ["MobilenetV2/expanded_conv", *variables.units(r"MobilenetV2/expanded_conv_\d+")]:
        expand = variables(f"{at}/expand", 1e-3) if f"{at}/expand" in variables else None
        depthwise, project = (variables(f"{at}/{part}", 1e-3) for part in ("depthwise", "project"))
        units.append(reference.InvertedResidual(expand, depthwise, project))
    return reference.mobilenet_v2(image, variables("MobilenetV2/Conv", 1e-3), units)


def _aspp(variables: Variables, x: Tensor) -> Tensor:
    branches = []
    if "image_pooling" in variables:
        pooled = F.relu(variables("image_pooling")(x.mean((2, 3), keepdim=True)))
        branches.append(pooled.expand(-1, -1, *x.shape[2:]))
    branches.append(F.relu(variables("aspp0")(x)))
    for index, rate in enumerate(RATES, 1):
        if f"aspp{index}" in variables or f"aspp{index}_depthwise" in variables:
            branches.append(_conv(variables, f"aspp{index}", x, rate))
    return F.relu(variables("concat_projection")(torch.cat(branches, 1)))


def _decoder(variables: Variables, x: Tensor, low_level: Tensor) -> Tensor:
    low_level = F.relu(variables("decoder/feature_projection0")(low_level))
    x = F.interpolate(x, low_level.shape[2:], mode="bilinear", align_corners=True)
    x = torch.cat((x, low_level), 1)
    repeated = "decoder/decoder_conv0/decoder_conv0_1" in variables
    scopes = ("conv0/decoder_conv0_1", "conv0/decoder_conv0_2") if repeated else ("conv0", "conv1")
    for scope in scopes:
        x = _conv(variables, f"decoder/decoder_{scope}", x, 1)
    return x


def _conv(variables: Variables, scope: str, x: Tensor, rate: int) -> Tensor:
    """A 3x3 convolution, or its separable form, as the checkpoint has it."""
    if scope in variables:
        return F.relu(variables(scope)(x, 1, rate))
    x = F.relu(variables(f"{scope}_depthwise")(x, 1, rate))
    return F.relu(variables(f"{scope}_pointwise")(x))
