"""A MobileNetV2 DeepLab as TensorFlow Lite files hold it, recognised by how it is wired.

Names are of no use: each converter gives others. What is not wired as this network is refused, so
that nothing is imported that would compute something else.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from tflite import BuiltinOperator

from export.errors import UserError
from export.weights.folded import conv_norms, set_folded
from export.weights.tflite_file import COPIES, Conv, TfliteFile
from model import DeepLab, ModelConfig
from model.mobilenet import ROWS, InvertedResidual

LAYERS = 51
"""Convolutions of MobileNetV2 up to its last inverted residual."""
KNOWN = COPIES | {
    BuiltinOperator.CONV_2D,
    BuiltinOperator.DEPTHWISE_CONV_2D,
    BuiltinOperator.ADD,
    BuiltinOperator.AVERAGE_POOL_2D,
    BuiltinOperator.CONCATENATION,
}
"""What a whole DeepLab may consist of."""


class Mismatch(Exception):
    """What of a file is not as this network has it."""


class Head(NamedTuple):
    """The convolutions of ASPP and the classifier."""

    pooling: Conv
    pointwise: Conv
    project: Conv
    classifier: Conv


def read_deeplab(path: Path, file: TfliteFile) -> DeepLab:
    """The network of a file, in evaluation mode, its BatchNorm as `set_folded` leaves it.

    Raises:
        Mismatch: the file computes something else.
        UserError: its backbone is no MobileNetV2.
    """
    for step in file.operators:
        if step.kind not in KNOWN:
            raise Mismatch(f"the operator {step.name} is not part of it")
        if step.kind == BuiltinOperator.RESIZE_BILINEAR and not file.corners_aligned(step):
            raise Mismatch("it resizes without aligned corners")
    encoder = file.convs[LAYERS - 1]
    head = _head(file, encoder)
    output_stride = _output_stride(file, encoder)
    classes = head.classifier.folded.weight.shape[0]
    network = DeepLab(backbone_config(path, file, classes, output_stride)).eval()
    _check_backbone(file, network)
    aspp = network.aspp
    assert aspp.image_pooling is not None
    layers = [*conv_norms(network.backbone), aspp.image_pooling, aspp.pointwise, aspp.project]
    convs = [*file.convs[:LAYERS], head.pooling, head.pointwise, head.project]
    for layer, conv in zip(layers, convs, strict=True):
        if layer.conv.weight.shape != conv.folded.weight.shape:
            raise Mismatch("its head has other channels")
        set_folded(layer, conv.folded)
    assert network.classifier.bias is not None
    with torch.no_grad():
        network.classifier.weight.copy_(head.classifier.folded.weight)
        network.classifier.bias.copy_(head.classifier.folded.bias)
    return network


def backbone_config(path: Path, file: TfliteFile, classes: int, output_stride: int) -> ModelConfig:
    """The network whose backbone has the file's channels.

    Raises:
        UserError: there is none.
    """
    shapes = [tuple(conv.folded.weight.shape) for conv in file.convs[:LAYERS]]
    width = shapes[-1][0] / ROWS[-1].channels
    for divisor in (8, 1):
        config = ModelConfig.from_dict(
            {
                "backbone": "mobilenet_v2",
                "num_classes": classes,
                "output_stride": output_stride,
                "width_multiplier": width,
                "width_divisor": divisor,
                "atrous_rates": (),
                "decoder": False,
            }
        )
        with torch.device("meta"):
            layers = conv_norms(DeepLab(config).backbone)
        if [tuple(layer.conv.weight.shape) for layer in layers] == shapes:
            return config
    raise UserError(f"{path} does not hold a MobileNetV2")


def _head(file: TfliteFile, encoder: Conv) -> Head:
    """Image pooling and a 1x1 convolution side by side, their projection and the classifier."""
    concat, pool = (
        file.only(BuiltinOperator.CONCATENATION),
        file.only(BuiltinOperator.AVERAGE_POOL_2D),
    )
    if concat is None or pool is None or len(file.convs) != LAYERS + 4:
        raise Mismatch("its head is not image pooling beside a 1x1 convolution")
    pooling, pointwise = (file.conv(tensor) for tensor in (*concat.inputs, -1)[:2])
    classifier = file.conv(file.output)
    project = file.conv(classifier.input) if classifier is not None else None
    if pooling is None or pointwise is None or project is None or classifier is None:
        raise Mismatch("its head is not image pooling beside a 1x1 convolution")
    head = Head(pooling, pointwise, project, classifier)
    wired = (
        file.maker(pooling.input) == pool
        and file.conv(pool.inputs[0]) == encoder
        and file.conv(pointwise.input) == encoder
        and file.maker(project.input) == concat
        and [conv.activation for conv in head] == ["relu", "relu", "relu", "none"]
    )
    if not wired:
        raise Mismatch("its head is wired in another way")
    if file.pooled_window(pool) != file.shapes[encoder.output][1:3]:
        raise Mismatch("image pooling does not cover the whole feature map")
    return head


def _output_stride(file: TfliteFile, encoder: Conv) -> int:
    _, height, width, _ = file.shapes[file.input]
    _, rows, columns, _ = file.shapes[encoder.output]
    stride = (height - 1) // max(1, rows - 1)
    if stride not in (8, 16, 32) or (height - 1, width - 1) != (
        stride * (rows - 1),
        stride * (columns - 1),
    ):
        raise Mismatch(
            f"it takes pictures of {width}x{height}; only at a multiple of the output stride plus "
            "one does TensorFlow pad as this network does"
        )
    return stride


def _check_backbone(file: TfliteFile, network: DeepLab) -> None:
    """Compare strides, rates, activations and residual connections with the network's."""
    for layer, conv in zip(conv_norms(network.backbone), file.convs, strict=False):
        activation = type(layer.activation).__name__.lower().replace("identity", "none")
        own = (layer.conv.stride[0], layer.conv.dilation[0], activation, True)
        if own != (conv.stride, conv.rate, conv.activation, conv.same):
            raise Mismatch("its backbone has other strides, rates, paddings or activations")
    convs = iter(file.convs[1:LAYERS])
    x = file.convs[0].output
    for unit in network.backbone.units:
        assert isinstance(unit, InvertedResidual)
        first = conv = next(convs)
        for _ in range(len(conv_norms(unit)) - 1):
            before, conv = conv, next(convs)
            if file.conv(conv.input) != before:
                raise Mismatch("its backbone is wired in another way")
        output = _sum(file, x, conv.output) if unit.residual else conv.output
        if first.input != x or output is None:
            raise Mismatch("its backbone is wired in another way")
        x = output


def _sum(file: TfliteFile, left: int, right: int) -> int | None:
    """The tensor that holds the sum of two; None if there is none."""
    sums = (
        step.outputs[0]
        for step in file.operators
        if step.kind == BuiltinOperator.ADD and set(step.inputs) == {left, right}
    )
    return next(sums, None)
