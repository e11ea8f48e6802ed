"""A foreign ONNX file: read, understood as far as it can be, and run as it is."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, inliner, version_converter

from export.adopt.fitting import Size
from export.adopt.options import Reading
from export.errors import UserError
from export.graph.onnx_model import read_onnx

OLDEST_OPSET = 13
"""The nodes that are added mean the same from here on."""
LARGEST = 2**31 - 1
"""Bytes that one ONNX file can hold."""
ELEMENTS: dict[int, type[np.floating[Any]]] = {
    TensorProto.FLOAT: np.float32,
    TensorProto.FLOAT16: np.float16,
}
"""What a file may take."""


class Foreign:
    """A file of others.

    Attributes:
        input: name of its one input, float [N, 3, H, W].
        element: ONNX element type of the input.
        batch: its fixed batch size, None if symbolic.
        sides: its height and width, None where symbolic.
        opset: of the model that `symbolic` gives.
    """

    def __init__(self, path: Path) -> None:
        """Read a file.

        Raises:
            UserError: it cannot be read or run, or its input is of another kind.
        """
        self._model = _converted(_read(path), path)
        self.opset = _opset(self._model)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what fails is told in the exception too
        try:
            self._session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's errors are not a closed list
            raise UserError(f"ONNX Runtime cannot load {path}: {error}") from error
        value = _only_input(self._model, path)
        tensor = value.type.tensor_type
        self.input: str = value.name
        self.element: int = tensor.elem_type
        sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
        _check_input(self.element, sizes, path)
        self.batch, _, *self.sides = sizes
        if self.batch not in (None, 1):
            raise UserError(
                f"{path} takes batches of {self.batch} only; export it with a batch of 1 or a "
                "dynamic one"
            )

    def fixed(self, size: Size | None) -> Size | None:
        """The only height and width that the file takes, None if it takes many.

        Raises:
            UserError: `size`, what the user says, is another; or one side alone is fixed and
                `size` is needed for the other.
        """
        if self.sides == [None, None]:
            return None
        if size is None and None in self.sides:
            raise UserError(f"the file fixes only a part of its size, {self.sides}; give --size")
        wanted = size or (0, 0)
        height, width = (
            side if side is not None else asked
            for side, asked in zip(self.sides, wanted, strict=True)
        )
        if size is not None and (height, width) != size:
            raise UserError(
                f"the file takes pictures of {height} by {width} only, but --size is {size[0]} "
                f"{size[1]}; leave --size out, or export the model with a dynamic height and width"
            )
        return height, width

    def output_name(self, reading: Reading) -> str:
        """The output to read.

        Raises:
            UserError: there are several, or it is not there.
        """
        outputs = {value.name: value.shape for value in self._session.get_outputs()}
        if reading.output is not None and reading.output in outputs:
            return reading.output
        there = ", ".join(f"{name} {shape}" for name, shape in outputs.items())
        if reading.output is not None:
            raise UserError(f"there is no output {reading.output!r}; there are {there}")
        if len(outputs) > 1:
            raise UserError(f"the file has several outputs; choose one with --output: {there}")
        return next(iter(outputs))

    def run(self, pixels: NDArray[np.float32], output: str) -> NDArray[Any]:
        """One output for float [N, 3, H, W], from the file as it is.

        Raises:
            UserError: ONNX Runtime cannot run it so.
        """
        try:
            (values,) = self._session.run([output], {self.input: self.typed(pixels)})
        except Exception as error:  # ONNX Runtime's errors are not a closed list
            raise UserError(str(error).strip()) from error
        return np.asarray(values)

    def typed(self, pixels: NDArray[np.float32]) -> NDArray[Any]:
        """Pixels in the type that the file takes."""
        return pixels.astype(ELEMENTS[self.element])

    @property
    def half(self) -> bool:
        """The file takes half precision."""
        return self.element == TensorProto.FLOAT16

    def symbolic(self) -> onnx.ModelProto:
        """The model without what it says of its sizes, so that another batch can be tried."""
        model = copy.deepcopy(self._model)
        del model.graph.value_info[:]
        dims = _only_input(model, Path()).type.tensor_type.shape.dim
        dims[0].dim_param = "N"
        for output in model.graph.output:
            output.type.tensor_type.ClearField("shape")
        return model


def _read(path: Path) -> onnx.ModelProto:
    model = read_onnx(path)
    if any(entry.key == "deeplab.labels" for entry in model.metadata_props):
        raise UserError(f"{path} keeps the contract already; serve it as it is")
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
    except Exception as error:  # ONNX has several errors for a file that is not there
        raise UserError(
            f"the weights of {path} lie in a file beside it, which cannot be read ({error})"
        ) from error
    if model.ByteSize() > LARGEST:
        raise UserError(
            f"{path} has {model.ByteSize() / 1e9:.1f} GB of weights, more than the 2 GB that one "
            "ONNX file can hold; export it in half precision"
        )
    return model


def _converted(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """The model without functions of its own, at an opset that the added nodes are for."""
    if model.functions:
        model = inliner.inline_local_functions(model)
    if _opset(model) >= OLDEST_OPSET:
        return model
    try:
        return version_converter.convert_version(model, OLDEST_OPSET)
    except Exception as error:  # the converter's errors are not a closed list
        raise UserError(
            f"{path} is of opset {_opset(model)}, which cannot be turned into {OLDEST_OPSET} "
            f"({error}); export it again with opset {OLDEST_OPSET} or newer"
        ) from error


def _opset(model: onnx.ModelProto) -> int:
    return next((item.version for item in model.opset_import if item.domain in ("", "ai.onnx")), 1)


def _only_input(model: onnx.ModelProto, path: Path) -> onnx.ValueInfoProto:
    """The one input that is no weight: old files list weights as inputs too."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) != 1:
        raise UserError(
            f"{path} has the inputs {', '.join(value.name for value in inputs) or '(none)'}; a "
            "model that takes one picture and nothing else can be adopted"
        )
    return inputs[0]


def _check_input(element: int, sizes: list[int | None], path: Path) -> None:
    takes = f"{path} takes {TensorProto.DataType.Name(element).lower()} {sizes}"
    if element not in ELEMENTS:
        raise UserError(
            f"{takes}; only files that take float pixels can be adopted: export the model without "
            "its own normalisation, or with a float input"
        )
    if len(sizes) != 4:
        raise UserError(f"{takes}; pictures must come as [N, 3, H, W]")
    if sizes[1] == 3:
        return
    if sizes[3] == 3:
        raise UserError(
            f"{takes}: channels come last; export the model with channels first, [N, 3, H, W]"
        )
    if sizes[1] is not None:
        raise UserError(f"{takes}: {sizes[1]} channels; only colour pictures, [N, 3, H, W], fit")
