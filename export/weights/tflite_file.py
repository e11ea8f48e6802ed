"""TensorFlow Lite files: their operators, convolutions and constants."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import tflite
import torch
from numpy.typing import NDArray
from tflite import BuiltinOperator

from export.errors import UserError
from export.weights.folded import FoldedConv

COPIES = {
    BuiltinOperator.RESIZE_BILINEAR,
    BuiltinOperator.QUANTIZE,
    BuiltinOperator.DEQUANTIZE,
    BuiltinOperator.ARG_MAX,
}
"""Operators that carry the values of their first input on, in another size or form."""


def _names(numbers: type) -> dict[int, str]:
    return {number: name for name, number in vars(numbers).items() if isinstance(number, int)}


OPERATORS = _names(BuiltinOperator)
ACTIVATIONS = {n: name.lower() for n, name in _names(tflite.ActivationFunctionType).items()}


class Operator(NamedTuple):
    """A step of a file; tensors are known by their number."""

    kind: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    table: tflite.Operator

    @property
    def name(self) -> str:
        return OPERATORS.get(self.kind, str(self.kind))


class Conv(NamedTuple):
    """A convolution with all that was folded into it."""

    folded: FoldedConv
    input: int
    output: int
    stride: int
    rate: int
    activation: str
    """"relu", "relu6", or "none"."""
    same: bool
    """Padded as TensorFlow's "SAME"."""


class TfliteFile:
    """A network as a file holds it.

    Attributes:
        operators: in the order they run.
        convs: the convolutions among them, dequantised.
        input: number of the tensor that goes in.
        output: number of the first that comes out.
        shapes: of every tensor.
    """

    def __init__(self, path: Path) -> None:
        """Read a file whole.

        Raises:
            UserError: it cannot be read.
        """
        try:
            self._file = tflite.Model.GetRootAs(path.read_bytes())
            self._graph = self._file.Subgraphs(0)
            self.operators = [
                self._operator(self._graph.Operators(index))
                for index in range(self._graph.OperatorsLength())
            ]
            self.shapes = [
                tuple(int(tensor.Shape(axis)) for axis in range(tensor.ShapeLength()))
                for tensor in map(self._graph.Tensors, range(self._graph.TensorsLength()))
            ]
            self.input, self.output = int(self._graph.Inputs(0)), int(self._graph.Outputs(0))
            self.convs = [self._conv(step) for step in self.operators if step.kind in _CONVS]
        except OSError as error:
            raise UserError(
                f"cannot read the TensorFlow Lite file {path}: {error.strerror}"
            ) from error
        except Exception as error:  # the parser trusts offsets that it finds in the file
            raise UserError(f"{path} is not a TensorFlow Lite file") from error
        self._makers = {step.outputs[0]: step for step in self.operators}
        self._conv_of = {conv.output: conv for conv in self.convs}

    def maker(self, tensor: int) -> Operator | None:
        """The step that a tensor comes from, past those that only copy."""
        step = self._makers.get(tensor)
        while step is not None and step.kind in COPIES:
            step = self._makers.get(step.inputs[0])
        return step

    def conv(self, tensor: int) -> Conv | None:
        """The convolution that a tensor comes from, past steps that only copy."""
        step = self.maker(tensor)
        return None if step is None else self._conv_of.get(step.outputs[0])

    def only(self, kind: int) -> Operator | None:
        """The one step of a kind; None if there is another number of them."""
        found = [step for step in self.operators if step.kind == kind]
        return found[0] if len(found) == 1 else None

    def corners_aligned(self, resize: Operator) -> bool:
        """Whether a RESIZE_BILINEAR keeps corners in place; any does for a map of one cell."""
        options = _options(resize.table, tflite.ResizeBilinearOptions())
        one_cell = self.shapes[resize.inputs[0]][1:3] == (1, 1)
        return one_cell or bool(options.AlignCorners() and not options.HalfPixelCenters())

    def pooled_window(self, pool: Operator) -> tuple[int, int]:
        """(height, width) of what an AVERAGE_POOL_2D takes means of."""
        options = _options(pool.table, tflite.Pool2DOptions())
        return int(options.FilterHeight()), int(options.FilterWidth())

    def _operator(self, table: tflite.Operator) -> Operator:
        code = self._file.OperatorCodes(table.OpcodeIndex())
        return Operator(
            max(code.BuiltinCode(), code.DeprecatedBuiltinCode()),
            tuple(int(table.Inputs(index)) for index in range(table.InputsLength())),
            tuple(int(table.Outputs(index)) for index in range(table.OutputsLength())),
            table,
        )

    def _conv(self, step: Operator) -> Conv:
        depthwise = step.kind == BuiltinOperator.DEPTHWISE_CONV_2D
        options = _options(
            step.table, tflite.DepthwiseConv2DOptions() if depthwise else tflite.Conv2DOptions()
        )
        weight, bias = self._constant(step.inputs[1]), self._constant(step.inputs[2])
        # TensorFlow Lite lays weights out as OHWI, depthwise ones as 1HWO.
        axes = (3, 0, 1, 2) if depthwise else (0, 3, 1, 2)
        return Conv(
            FoldedConv(
                torch.from_numpy(weight.transpose(axes).copy()), torch.from_numpy(bias.copy())
            ),
            input=step.inputs[0],
            output=step.outputs[0],
            stride=int(options.StrideH()),
            rate=int(options.DilationHFactor()),
            activation=ACTIVATIONS[options.FusedActivationFunction()],
            same=options.Padding() == tflite.Padding.SAME,
        )

    def _constant(self, number: int) -> NDArray[np.float32]:
        """A constant in float32, dequantised if need be."""
        tensor = self._graph.Tensors(number)
        raw = self._file.Buffers(tensor.Buffer()).DataAsNumpy()
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


_CONVS = {BuiltinOperator.CONV_2D, BuiltinOperator.DEPTHWISE_CONV_2D}
_DTYPES = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.UINT8: np.uint8,
    tflite.TensorType.INT8: np.int8,
    tflite.TensorType.INT32: np.int32,
}


def _options(table: tflite.Operator, options: tflite.Table) -> tflite.Table:
    """What a step says beside its tensors, read as options of its kind."""
    stored = table.BuiltinOptions()
    options.Init(stored.Bytes, stored.Pos)
    return options
