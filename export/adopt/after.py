"""From what a foreign file gives to the outputs of the contract, as nodes."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from export.adopt.before import Fitted
from export.adopt.fitting import Fitting
from export.adopt.kind import Kind
from export.adopt.nodes import ALIGNED, HALF_PIXEL, NEAREST, Nodes
from export.adopt.options import Reading


def read_output(
    nodes: Nodes, output: str, fitted: Fitted, fitting: Fitting, kind: Kind, reading: Reading
) -> list[str]:
    """Add the nodes that make `mask` and perhaps `confidence` of the file's output; their names."""
    if kind.ids:
        maps = {"mask": _ids(nodes, output, fitted, fitting)}
    else:
        mode = ALIGNED if reading.align_corners else HALF_PIXEL
        scores = nodes.add("Cast", output, to=TensorProto.FLOAT)
        scores = _at_picture(nodes, scores, fitted, fitting, mode)
        maps = (_two_classes if kind.one_channel else _classes)(nodes, scores, kind, reading)
    for name, values in maps.items():
        small = nodes.add("Cast", values, to=TensorProto.UINT8)
        if fitting.exact:
            nodes.add("Identity", small, output=name)
        else:
            pads = nodes.concat(nodes.integers(0, 0, 0, 0), fitted.cut)
            nodes.add("Pad", small, pads, mode="edge", output=name)
    return list(maps)


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


def _classes(nodes: Nodes, scores: str, kind: Kind, reading: Reading) -> dict[str, str]:
    maps = {"mask": nodes.add("ArgMax", scores, axis=1, keepdims=0)}
    if reading.confidence:
        shares = scores if kind.probable else nodes.add("Softmax", scores, axis=1)
        maps["confidence"] = _in_bytes(nodes, nodes.reduce_max(shares))
    return maps


def _two_classes(nodes: Nodes, scores: str, kind: Kind, reading: Reading) -> dict[str, str]:
    scores = nodes.add("Squeeze", scores, nodes.integers(1))
    above = nodes.add("Greater", scores, nodes.constant(np.float32(reading.threshold)))
    maps = {"mask": above}
    if reading.confidence:
        second = scores if kind.probable else nodes.add("Sigmoid", scores)
        first = nodes.add("Sub", nodes.constant(np.float32(1)), second)
        maps["confidence"] = _in_bytes(nodes, nodes.add("Where", above, second, first))
    return maps


def _in_bytes(nodes: Nodes, shares: str) -> str:
    return nodes.add("Round", nodes.add("Mul", shares, nodes.constant(np.float32(255))))
