"""An exported file in 8-bit integers: faster on a CPU, nearly as good."""

from __future__ import annotations

import copy
import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

from export.data.datasets import DataSet, read_image, require_classes
from export.errors import UserError
from export.evaluation.evaluate import measure
from export.evaluation.metrics import ConfusionMatrix
from export.evaluation.predict import padded, segment
from export.files import write_whole
from export.graph.agreement import spread
from export.graph.onnx_model import OnnxModel
from export.graph.to_onnx import quality_of, require_name

CALIBRATION_PICTURES = 24
QUANTISED = ["Conv", "Relu", "Clip", "Concat", "Resize"]
"""Activations belong to it: without them a convolution's output would be stored with the range
that it has before it is clipped."""
COMPARED_PICTURES = 20
REQUIRED_AGREEMENT = 0.9
"""A file that agrees with the original on fewer pixels was calibrated on the wrong pictures."""


@dataclass(frozen=True)
class QuantiseReport:
    """What was written and what it costs in quality."""

    path: Path
    megabytes: tuple[float, float]
    agreement: float
    before: ConfusionMatrix
    after: ConfusionMatrix

    def __str__(self) -> str:
        return (
            f"wrote {self.path} ({self.megabytes[1]:.1f} MB instead of {self.megabytes[0]:.1f})\n"
            f"mean IoU: {self.after.mean_iou:.4f} instead of {self.before.mean_iou:.4f}\n"
            f"pixels equal to the original's: {self.agreement:.4f}"
        )


class Pictures(CalibrationDataReader):  # type: ignore[misc]
    """Pictures from all over the training data, as the quantiser asks for them."""

    def __init__(self, training: DataSet, output_stride: int) -> None:
        paths = spread(training.pictures, min(CALIBRATION_PICTURES, len(training.samples)))
        self._images = (padded(read_image(path), output_stride) for path in paths)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        image = next(self._images, None)
        return None if image is None else {"image": image[None]}


def quantise(
    source: Path, out: Path, training: DataSet, validation: DataSet, *, name: str
) -> QuantiseReport:
    """Quantise, measure against the original, describe, write.

    Args:
        source: an ONNX file of `deeplab export`, in single precision.
        out: the file to write; only written when it agrees with the original.
        training: some of its pictures show how large activations are.
        validation: what the quality is measured on.
        name: what the service calls the model.

    Raises:
        UserError: the file or the data do not fit, or the result is of no use.
    """
    require_name(name)
    original = OnnxModel(source)
    require_classes(original.labels, validation, source)
    model = to_int8(onnx.load(source), Pictures(training, original.output_stride))
    quantised = OnnxModel(model.SerializeToString())
    before = measure(original.predict, validation, original.output_stride)
    after = measure(quantised.predict, validation, original.output_stride)
    agreement = share_equal(original, quantised, validation)
    if agreement < REQUIRED_AGREEMENT:
        raise UserError(
            f"the quantised model agrees with {source} on {agreement:.4f} of the pixels only; "
            f"{REQUIRED_AGREEMENT} is required, so nothing was written"
        )
    properties = {entry.key: entry.value for entry in model.metadata_props}
    # It compares the original with PyTorch.
    properties.pop("deeplab.agreement", None)
    properties |= {
        "deeplab.name": name,
        "deeplab.quality": json.dumps(quality_of(after, validation)),
        "deeplab.int8_agreement": f"{agreement:.6f}",
    }
    onnx.helper.set_model_props(model, properties)
    data = model.SerializeToString()
    write_whole(out, data)
    sizes = (source.stat().st_size / 1e6, len(data) / 1e6)
    return QuantiseReport(out, sizes, agreement, before, after)


def share_equal(original: OnnxModel, quantised: OnnxModel, data: DataSet) -> float:
    """The share of pixels, over some pictures, on which two models agree."""
    shares = []
    for path in spread(data.pictures, min(COMPARED_PICTURES, len(data.samples))):
        image = read_image(path)
        masks = [
            segment(model.predict, image, original.output_stride) for model in (original, quantised)
        ]
        shares.append(float((masks[0] == masks[1]).mean()))
    return float(np.mean(shares))


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keep the quantiser's advice back: the exporter has done it already."""
    onnxruntime.set_default_logger_severity(3)
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(before)


def to_int8(model: onnx.ModelProto, pictures: CalibrationDataReader) -> onnx.ModelProto:
    """The model in integers, but for the classifier and what comes after it.

    Weights are signed, with a scale for each output channel; activations unsigned, with the
    range that they have on the pictures. Logits stay float: in 8 bits classes would tie.

    Raises:
        UserError: the model is not in single precision.
    """
    weights = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    if any(weights.get(node.input[1]) != onnx.TensorProto.FLOAT for node in convolutions):
        raise UserError("only a file in single precision can be quantised; export without --fp16")
    nodes = list(model.graph.node)
    classifier = max(index for index, node in enumerate(nodes) if node.op_type == "Conv")
    with _without_advice(), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantize_static(
            copy.deepcopy(model),  # it moves the weights out of what it is given
            path,
            pictures,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=QUANTISED,
            nodes_to_exclude=[node.name for node in nodes[classifier:]],
            # Weights of seven bits: x86 CPUs without VNNI add pairs of products in 16 bits,
            # which eight could overflow.
            reduce_range=True,
        )
        return onnx.load(path)
