"""Initial weights for MobileNetV2 out of a TensorFlow Lite file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tflite
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from export.errors import UserError
from export.weights.folded import FoldedConv, set_folded, unfold
from model import ModelConfig, build
from model.layers import ConvNorm


def import_tflite(path: Path, pictures: Path, out: Path) -> None:
    """Write the backbone of a MobileNetV2 `.tflite` file as initial weights.

    Quantised weights are dequantised. The layers after the backbone are left out.

    Args:
        path: MobileNetV2 classifier or DeepLab, width multiplier 1.0, float or quantised.
        pictures: folder of pictures like those it will be trained on, to measure BatchNorm
            statistics with; up to 16 of them are used.
        out: safetensors file to write.

    Raises:
        UserError: a file cannot be read, or holds another network.
    """
    backbone = build(ModelConfig(backbone="mobilenet_v2")).backbone.eval()
    layers = [module for module in backbone.modules() if isinstance(module, ConvNorm)]
    convs = list(read_convs(path))[: len(layers)]
    shapes = [tuple(layer.conv.weight.shape) for layer in layers]
    if [tuple(conv.weight.shape) for conv in convs] != shapes:
        raise UserError(f"{path} does not hold a MobileNetV2 of width multiplier 1.0")
    for layer, conv in zip(layers, convs, strict=True):
        set_folded(layer, conv)
    unfold(backbone, layers, pictures)
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file({f"backbone.{name}": t for name, t in backbone.state_dict().items()}, out)


def read_convs(path: Path) -> Iterator[FoldedConv]:
    """The convolutions of a file in the order they run.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        file = tflite.Model.GetRootAs(path.read_bytes())
        graph = file.Subgraphs(0)
    except OSError as error:
        raise UserError(f"cannot read the TensorFlow Lite file {path}: {error.strerror}") from error
    except Exception as error:  # the parser trusts offsets that it finds in the file
        raise UserError(f"{path} is not a TensorFlow Lite file") from error
    for index in range(graph.OperatorsLength()):
        operator = graph.Operators(index)
        code = file.OperatorCodes(operator.OpcodeIndex())
        kind = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        if kind not in (tflite.BuiltinOperator.CONV_2D, tflite.BuiltinOperator.DEPTHWISE_CONV_2D):
            continue
        weight = _tensor(file, graph.Tensors(operator.Inputs(1)))
        bias = _tensor(file, graph.Tensors(operator.Inputs(2)))
        # TensorFlow Lite lays weights out as OHWI, depthwise ones as 1HWO.
        axes = (3, 0, 1, 2) if kind == tflite.BuiltinOperator.DEPTHWISE_CONV_2D else (0, 3, 1, 2)
        yield FoldedConv(
            torch.from_numpy(weight.transpose(axes).copy()), torch.from_numpy(bias.copy())
        )


_DTYPES = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.UINT8: np.uint8,
    tflite.TensorType.INT8: np.int8,
    tflite.TensorType.INT32: np.int32,
}


def _tensor(file: tflite.Model, tensor: tflite.Tensor) -> NDArray[np.float32]:
    """A constant of the file in float32, dequantised if need be."""
    raw = file.Buffers(tensor.Buffer()).DataAsNumpy()
    stored = raw.view(_DTYPES[tensor.Type()]).reshape(tensor.ShapeAsNumpy())
    quantisation = tensor.Quantization()
    if quantisation is None or quantisation.ScaleLength() == 0:
        return stored.astype(np.float32)
    shape = [1] * stored.ndim
    if quantisation.ScaleLength() > 1:
        shape[quantisation.QuantizedDimension()] = -1
    scale = quantisation.ScaleAsNumpy().reshape(shape)
    zero = quantisation.ZeroPointAsNumpy().reshape(shape)
    return ((stored.astype(np.float64) - zero) * scale).astype(np.float32)
