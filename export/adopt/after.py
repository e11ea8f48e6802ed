"""From what a foreign file gives to the outputs of the contract, as nodes."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from export.adopt.before import Fitted
from export.adopt.fitting import Fitting
from export.adopt.kind import Kind
from export.adopt.nodes import ALIGNED, HALF_PIXEL, NEAREST, Nodes
from export.adopt.options import Reading
from export.graph.confidence import ASKED


def read_output(
    nodes: Nodes, output: str, fitted: Fitted, fitting: Fitting, kind: Kind, reading: Reading
) -> list[str]:
    """Add the nodes that make `mask` and perhaps `confidence` of the file's output; their names."""
    if kind.ids:
        _at_edges(nodes, _ids(nodes, output, fitted, fitting), fitted, fitting, "mask")
        return ["mask"]
    mode = ALIGNED if reading.align_corners else HALF_PIXEL
    scores = nodes.add("Cast", output, to=TensorProto.FLOAT)
    scores = _at_picture(nodes, scores, fitted, fitting, mode)
    if kind.one_channel:
        scores = nodes.add("Squeeze", scores, nodes.integers(1))
        chosen = nodes.add("Greater", scores, nodes.constant(np.float32(reading.threshold)))
    else:
        chosen = nodes.add("ArgMax", scores, axis=1, keepdims=0)
    _at_edges(nodes, chosen, fitted, fitting, "mask")
    if not reading.confidence:
        return ["mask"]
    inside = Nodes(nodes.opset, "sure")
    sure = _sureness(inside, scores, chosen, kind)
    sure = inside.add("Round", inside.add("Mul", sure, inside.constant(np.float32(255))))
    _at_edges(inside, sure, fitted, fitting, "sure")
    nodes.constants.extend(inside.constants)
    _if_asked(nodes, inside)
    return ["mask", "confidence"]


def _at_edges(nodes: Nodes, maps: str, fitted: Fitted, fitting: Fitting, name: str) -> None:
    """Numbers [N, H, W] as bytes, the row and column that were cut off put back."""
    small = nodes.add("Cast", maps, to=TensorProto.UINT8)
    if fitting.exact:
        nodes.add("Identity", small, output=name)
    else:
        pads = nodes.concat(nodes.integers(0, 0, 0, 0), fitted.cut)
        nodes.add("Pad", small, pads, mode="edge", output=name)


def _if_asked(nodes: Nodes, inside: Nodes) -> None:
    """The output `confidence`, which costs nothing and is empty unless it is asked for."""
    nothing = helper.make_node(
        "Constant", [], ["none"], value=numpy_helper.from_array(np.zeros((0, 0, 0), np.uint8))
    )
    branches = {
        name: helper.make_graph(
            made, name, [], [helper.make_tensor_value_info(output, TensorProto.UINT8, [None] * 3)]
        )
        for name, made, output in (
            ("then_branch", inside.nodes, "sure"),
            ("else_branch", [nothing], "none"),
        )
    }
    nodes.add("If", ASKED, output="confidence", **branches)


def _at_picture(
    nodes: Nodes, maps: str, fitted: Fitted, fitting: Fitting, mode: dict[str, str]
) -> str:
    """Maps [N, C, h, w] of what the file saw as [N, C, H, W] of the picture, padding cut off."""
    maps = nodes.resize(maps, fitted.inner, **mode)
    if not fitting.exact:
        maps = nodes.cut(maps, fitted.kept, (2, 3))
    return nodes.resize(maps, fitted.whole, **mode) if fitting.fixed is not None else maps


def _ids(nodes: Nodes, output: str, fitted: Fitted, fitting: Fitting) -> str:
    """Ids [N, h, w] or [N, 1, h, w] as [N, H, W]."""
    shape = nodes.add("Shape", output)
    sides = nodes.add("Slice", shape, nodes.integers(-2), nodes.integers(2**31))
    maps = nodes.add("Reshape", output, nodes.concat(nodes.integers(-1, 1), sides))
    maps = nodes.add("Cast", maps, to=TensorProto.UINT8)
    maps = _at_picture(nodes, maps, fitted, fitting, NEAREST)
    return nodes.add("Squeeze", maps, nodes.integers(1))


def _sureness(nodes: Nodes, scores: str, chosen: str, kind: Kind) -> str:
    """The probability of the chosen class, [N, H, W]."""
    if not kind.one_channel:
        return nodes.reduce_max(scores if kind.probable else nodes.add("Softmax", scores, axis=1))
    second = scores if kind.probable else nodes.add("Sigmoid", scores)
    first = nodes.add("Sub", nodes.constant(np.float32(1)), second)
    return nodes.add("Where", chosen, second, first)
