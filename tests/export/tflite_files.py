"""TensorFlow Lite files made on the spot, of any small network, with mistakes on demand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import flatbuffers
import numpy as np
import tflite
import torch
from numpy.typing import NDArray
from tflite import ActivationFunctionType, BuiltinOperator, BuiltinOptions

from export.weights.folded import conv_norms
from model import DeepLab, ModelConfig
from model.layers import ConvNorm
from model.mobilenet import InvertedResidual

TINY = ModelConfig(
    backbone="mobilenet_v2",
    num_classes=5,
    width_multiplier=0.05,
    width_divisor=1,
    atrous_rates=(),
    decoder=False,
)
ACTIVATIONS = {
    "ReLU": ActivationFunctionType.RELU,
    "ReLU6": ActivationFunctionType.RELU6,
    "Identity": ActivationFunctionType.NONE,
}


class Step(NamedTuple):
    kind: int
    inputs: list[int]
    output: int
    options: str
    """Name of the options' table; "" for none."""
    values: dict[str, Any]


@dataclass
class FileBuilder:
    """Collects tensors and steps, then writes them as a flatbuffer."""

    tensors: list[tuple[tuple[int, ...], NDArray[Any] | None]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def tensor(self, shape: tuple[int, ...], data: NDArray[Any] | None = None) -> int:
        self.tensors.append((shape, data))
        return len(self.tensors) - 1

    def constant(self, data: NDArray[Any]) -> int:
        return self.tensor(data.shape, data)

    def shape(self, tensor: int) -> tuple[int, ...]:
        return self.tensors[tensor][0]

    def step(
        self, kind: int, inputs: list[int], shape: tuple[int, ...], options: str, **values: Any
    ) -> int:
        output = self.tensor(shape)
        self.steps.append(Step(kind, inputs, output, options, values))
        return output

    def conv(self, x: int, weight: torch.Tensor, bias: torch.Tensor, **values: Any) -> int:
        """A convolution with PyTorch's weights; values are its options but for the defaults."""
        depthwise = weight.shape[1] == 1 and weight.shape[0] == self.shape(x)[3] > 1
        stride = values.get("StrideH", 1)
        side = -(-self.shape(x)[1] // stride)
        kind, options = BuiltinOperator.CONV_2D, "Conv2DOptions"
        axes = (0, 2, 3, 1)
        if depthwise and weight.shape[2] > 1:
            kind, options = BuiltinOperator.DEPTHWISE_CONV_2D, "DepthwiseConv2DOptions"
            axes = (1, 2, 3, 0)
            values["DepthMultiplier"] = 1
        inputs = [
            x,
            self.constant(weight.permute(axes).contiguous().numpy()),
            self.constant(bias.numpy()),
        ]
        return self.step(kind, inputs, (1, side, side, weight.shape[0]), options, **values)

    def layer(self, x: int, layer: ConvNorm) -> int:
        """A convolution with its BatchNorm folded in."""
        norm = layer.norm
        assert norm.running_mean is not None and norm.running_var is not None
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        weight = layer.conv.weight * scale[:, None, None, None]
        stride, rate = layer.conv.stride[0], layer.conv.dilation[0]
        return self.conv(
            x,
            weight.detach(),
            (norm.bias - norm.running_mean * scale).detach(),
            StrideH=stride,
            StrideW=stride,
            DilationHFactor=rate,
            DilationWFactor=rate,
            FusedActivationFunction=ACTIVATIONS[type(layer.activation).__name__],
        )

    def resize(self, x: int, side: int, *, half_pixel: bool = False) -> int:
        size = self.constant(np.array([side, side], np.int32))
        flags = {"HalfPixelCenters": True} if half_pixel else {"AlignCorners": True}
        shape = (1, side, side, self.shape(x)[3])
        kind = BuiltinOperator.RESIZE_BILINEAR
        return self.step(kind, [x, size], shape, "ResizeBilinearOptions", **flags)

    def pool(self, x: int, window: int) -> int:
        shape = (1, 1, 1, self.shape(x)[3])
        window_flags = {"FilterHeight": window, "FilterWidth": window}
        flags = {**window_flags, "StrideH": window, "StrideW": window, "Padding": 1}
        return self.step(BuiltinOperator.AVERAGE_POOL_2D, [x], shape, "Pool2DOptions", **flags)

    def write(self, x: int, y: int) -> bytes:
        """The file, from the tensor that goes in to the one that comes out."""
        builder = flatbuffers.Builder(1 << 16)

        def table(name: str, **values: Any) -> int:
            getattr(tflite, f"{name}Start")(builder)
            for key, value in values.items():
                getattr(tflite, f"{name}Add{key}")(builder, value)
            return int(getattr(tflite, f"{name}End")(builder))

        def offsets(start: Callable[..., Any], made: list[int]) -> int:
            start(builder, len(made))
            for offset in reversed(made):
                builder.PrependUOffsetTRelative(offset)
            return int(builder.EndVector())

        def numbers(values: Any) -> int:
            return int(builder.CreateNumpyVector(np.array(values, np.int32)))

        buffers, tensors = [table("Buffer")], []
        for index, (shape, data) in enumerate(self.tensors):
            name, dimensions = builder.CreateString(f"t{index}"), numbers(shape)
            kind = tflite.TensorType.FLOAT32
            if data is not None:
                kind = {"f": kind, "i": tflite.TensorType.INT32}[data.dtype.kind]
                raw = builder.CreateNumpyVector(np.frombuffer(data.tobytes(), np.uint8))
                buffers.append(table("Buffer", Data=raw))
            buffer = len(buffers) - 1 if data is not None else 0
            tensors.append(table("Tensor", Shape=dimensions, Type=kind, Buffer=buffer, Name=name))
        kinds = sorted({step.kind for step in self.steps})
        operators = []
        for step in self.steps:
            inputs, outputs = numbers(step.inputs), numbers([step.output])
            options = table(step.options, **step.values) if step.options else None
            chosen = (
                {
                    "BuiltinOptionsType": getattr(BuiltinOptions, step.options),
                    "BuiltinOptions": options,
                }
                if options
                else {}
            )
            operators.append(
                table(
                    "Operator",
                    OpcodeIndex=kinds.index(step.kind),
                    Inputs=inputs,
                    Outputs=outputs,
                    **chosen,
                )
            )
        graph = table(
            "SubGraph",
            Tensors=offsets(tflite.SubGraphStartTensorsVector, tensors),
            Inputs=numbers([x]),
            Outputs=numbers([y]),
            Operators=offsets(tflite.SubGraphStartOperatorsVector, operators),
        )
        codes = [
            table("OperatorCode", DeprecatedBuiltinCode=kind, BuiltinCode=kind, Version=3)
            for kind in kinds
        ]
        model = table(
            "Model",
            Version=3,
            OperatorCodes=offsets(tflite.ModelStartOperatorCodesVector, codes),
            Subgraphs=offsets(tflite.ModelStartSubgraphsVector, [graph]),
            Buffers=offsets(tflite.ModelStartBuffersVector, buffers),
        )
        builder.Finish(model, b"TFL3")
        return bytes(builder.Output())


def random_network(seed: int = 0, classes: int = 5) -> DeepLab:
    """A tiny DeepLab whose BatchNorm really does something."""
    torch.manual_seed(seed)
    network = DeepLab(replace(TINY, num_classes=classes)).eval()
    for layer in conv_norms(network):
        norm = layer.norm
        assert norm.running_mean is not None and norm.running_var is not None
        for tensor, (low, high) in (
            (norm.weight.data, (0.8, 1.2)),
            (norm.bias.data, (-0.5, 1.0)),
            (norm.running_mean, (-0.1, 0.1)),
            (norm.running_var, (0.1, 0.3)),
        ):
            tensor.uniform_(low, high)
    return network


@dataclass(frozen=True)
class Quirks:
    """How a file differs from what this network can hold."""

    size: int = 65
    half_pixel: bool = False
    swapped: bool = False
    """The 1x1 branch before image pooling."""
    window: int | None = None
    """What image pooling covers instead of the whole map."""
    extra: bool = False
    """A sigmoid at the end."""
    residuals: bool = True
    rate: int = 1
    """Atrous rate of the second convolution."""


def deeplab_file(network: DeepLab, quirks: Quirks | None = None) -> bytes:
    """A DeepLabv3 as the released converters write it."""
    quirks = quirks or Quirks()
    if quirks.rate > 1:
        first = network.backbone.units[0]
        assert isinstance(first, InvertedResidual)
        first.place(1, quirks.rate)
    file = FileBuilder()
    image = file.tensor((1, quirks.size, quirks.size, 3))
    x = backbone(file, image, network, residuals=quirks.residuals)
    side, aspp = file.shape(x)[1], network.aspp
    assert aspp.image_pooling is not None
    pooled = file.pool(x, quirks.window or side)
    branches = [
        file.resize(file.layer(pooled, aspp.image_pooling), side),
        file.layer(x, aspp.pointwise),
    ]
    if quirks.swapped:
        branches.reverse()
    kind, shape = BuiltinOperator.CONCATENATION, (1, side, side, 512)
    joined = file.step(kind, branches, shape, "ConcatenationOptions", Axis=3)
    assert network.classifier.bias is not None
    logits = file.conv(
        file.layer(joined, aspp.project),
        network.classifier.weight.detach(),
        network.classifier.bias.detach(),
        StrideH=1,
        StrideW=1,
    )
    out = file.resize(file.resize(logits, side), quirks.size, half_pixel=quirks.half_pixel)
    if quirks.extra:
        out = file.step(BuiltinOperator.LOGISTIC, [out], file.shape(out), "")
    return file.write(image, out)


def classifier_file(network: DeepLab) -> bytes:
    """An ImageNet classifier on the network's backbone, at output stride 32."""
    network.set_output_stride(32)
    file = FileBuilder()
    image = file.tensor((1, 64, 64, 3))
    x = backbone(file, image, network)
    pooled = file.pool(x, file.shape(x)[1])
    channels = file.shape(x)[3]
    scores = file.conv(pooled, torch.rand(7, channels, 1, 1), torch.zeros(7), StrideH=1, StrideW=1)
    return file.write(image, scores)


def backbone(file: FileBuilder, x: int, network: DeepLab, *, residuals: bool = True) -> int:
    assert isinstance(network.backbone.root, ConvNorm)
    x = file.layer(x, network.backbone.root)
    for unit in network.backbone.units:
        assert isinstance(unit, InvertedResidual)
        y = x
        for layer in conv_norms(unit):
            y = file.layer(y, layer)
        if unit.residual and residuals:
            y = file.step(BuiltinOperator.ADD, [y, x], file.shape(y), "AddOptions")
        x = y
    return x
