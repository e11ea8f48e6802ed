"""The cheap end of the graph gives what the plain one gives, pixel by pixel."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import parser

from export.graph.finish import finish
from model import ModelConfig

CLASSES = 5
# Stands for a network: the logits come in as a second input.
PLAIN = """
<ir_version: 10, opset_import: ["": 20]>
plain (uint8[N, H, W, 3] image, float[N, 5, h, w] logits) => (uint8[N, H, W] mask)
{
  maps = Shape <start = 0, end = 2> (logits)
  size = Shape <start = 1, end = 3> (image)
  full_shape = Concat <axis = 0> (maps, size)
  full = Resize <mode = "linear", coordinate_transformation_mode = "align_corners">
    (logits, , , full_shape)
  best = ArgMax <axis = 1, keepdims = 0> (full)
  mask = Cast <to = 2> (best)
}
"""


def run(model: onnx.ModelProto, logits: NDArray[np.float32], size: tuple[int, int]) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    image = np.zeros((len(logits), *size, 3), np.uint8)
    return np.asarray(session.run(["mask"], {"image": image, "logits": logits})[0])


def config(stride: int) -> ModelConfig:
    """A network whose logits come at that stride: with a decoder at 4."""
    return ModelConfig(
        backbone="mobilenet_v2",
        num_classes=CLASSES,
        decoder=stride == 4,
        output_stride=8 if stride == 8 else 16,
    )


def logits(kind: str, count: int, height: int, width: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    shape = (count, CLASSES, height, width)
    if kind == "noise":
        return rng.normal(size=shape).astype(np.float32)
    if kind == "ties":
        return rng.integers(0, 2, shape).astype(np.float32)
    values = np.zeros(shape, np.float32)
    if kind == "regions":
        values[:, 1, : height // 2] = 3
        values[:, 4, :, width // 3 :] = 2
    return values


@pytest.mark.parametrize("stride", [4, 8, 16])
@pytest.mark.parametrize("kind", ["noise", "ties", "regions", "one class"])
@pytest.mark.parametrize("count", [1, 3])
def test_masks_are_equal_where_the_grid_fits(stride: int, kind: str, count: int) -> None:
    plain = parser.parse_model(PLAIN)
    given = logits(kind, count, 9, 14)
    size = (8 * stride + 1, 13 * stride + 1)
    expected = run(plain, given, size)
    found = run(finish(plain, config(stride)), given, size)
    assert found.dtype == np.uint8
    assert (found == expected).all()
    assert len(np.unique(expected)) > 1 or kind == "one class"


@pytest.mark.parametrize("size", [(33, 50), (30, 53), (20, 20)])
def test_masks_are_equal_at_any_other_size(size: tuple[int, int]) -> None:
    plain = parser.parse_model(PLAIN)
    given = logits("noise", 2, 9, 14)
    assert (run(finish(plain, config(4)), given, size) == run(plain, given, size)).all()


def test_a_graph_with_another_end_is_refused() -> None:
    model = parser.parse_model(PLAIN)
    model.graph.node[-1].op_type = "Identity"
    with pytest.raises(ValueError, match="does not end in"):
        finish(model, config(4))
