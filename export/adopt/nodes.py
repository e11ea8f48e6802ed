"""Nodes of an ONNX graph, added one after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

HALF_PIXEL = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
ALIGNED = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
NEAREST = {
    "mode": "nearest",
    "coordinate_transformation_mode": "half_pixel",
    "nearest_mode": "round_prefer_ceil",
}
AXES_AS_INPUT = 18
"""The opset from which reductions take their axes as an input."""


class Nodes:
    """Nodes and constants in the order in which they were added.

    Only forms of operators are used that opset 13 and all later ones share.
    """

    def __init__(self, opset: int, prefix: str = "adopt") -> None:
        """`prefix` keeps the names of a subgraph apart from those around it."""
        self.opset = opset
        self.prefix = prefix
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node with one output; the output's name."""
        output = output or f"{self.prefix}.{kind}.{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(kind, inputs, [output], name=f"node.{output}", **attributes)
        )
        return output

    def constant(self, values: NDArray[Any] | np.generic) -> str:
        """Add a constant; its name."""
        name = f"{self.prefix}.constant.{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def integers(self, *values: int) -> str:
        """Add a constant int64 [len(values)]; its name."""
        return self.constant(np.array(values, np.int64))

    def concat(self, *inputs: str) -> str:
        """One list of several."""
        return self.add("Concat", *inputs, axis=0)

    def shape(self, tensor: str, axes: Sequence[int]) -> str:
        """Some sides of a tensor, int64 [len(axes)]."""
        return self.add("Gather", self.add("Shape", tensor), self.integers(*axes))

    def cut(self, tensor: str, size: str, axes: tuple[int, int]) -> str:
        """The upper left part of two axes."""
        return self.add("Slice", tensor, self.integers(0, 0), size, self.integers(*axes))

    def resize(self, tensor: str, size: str, **mode: str) -> str:
        """A tensor [N, C, h, w] at another height and width."""
        sizes = self.concat(self.shape(tensor, (0, 1)), size)
        return self.add("Resize", tensor, "", "", sizes, **mode)

    def reduce_max(self, tensor: str) -> str:
        """The largest of axis 1, which is dropped."""
        if self.opset >= AXES_AS_INPUT:
            return self.add("ReduceMax", tensor, self.integers(1), keepdims=0)
        return self.add("ReduceMax", tensor, axes=[1], keepdims=0)
