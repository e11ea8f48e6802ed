"""From `image` to what a foreign file takes, as nodes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from export.adopt.fitting import Fitting
from export.adopt.nodes import HALF_PIXEL, Nodes
from export.adopt.options import Pixels


@dataclass(frozen=True)
class Fitted:
    """Names of what the first nodes make of `image`."""

    pixels: str
    """What the file takes, [N, 3, H, W] of its own type."""
    cut: str
    """Rows and columns that were cut off, int64 [2]."""
    whole: str
    kept: str
    inner: str
    """Sizes as in a Plan, int64 [2] each."""


def make_input(nodes: Nodes, pixels: Pixels, fitting: Fitting, element: int) -> Fitted:
    """Add the nodes that make the file's input, of an ONNX element type, of `image`."""
    size = nodes.shape("image", (1, 2))
    image, cut, whole = "image", "", size
    if not fitting.exact:
        cut = nodes.add("Cast", _one_more(nodes, size, fitting), to=TensorProto.INT64)
        whole = nodes.add("Sub", size, cut)
        image = nodes.cut(image, whole, (1, 2))
    if pixels.bgr:
        image = nodes.add("Gather", image, nodes.integers(2, 1, 0), axis=3)
    x = nodes.add("Cast", image, to=TensorProto.FLOAT)
    x = nodes.add("Transpose", x, perm=[0, 3, 1, 2])
    x = nodes.add("Mul", x, nodes.constant(pixels.factor))
    x = nodes.add("Add", x, nodes.constant(pixels.offset))
    kept = inner = whole
    if fitting.fixed is not None:
        inner = nodes.integers(*fitting.fixed)
        kept = _shrunk(nodes, whole, inner)
        x = nodes.resize(x, kept, **HALF_PIXEL)
    elif fitting.multiple > 1:
        step = nodes.integers(fitting.multiple)
        up = nodes.add("Add", whole, nodes.integers(fitting.multiple - 1))
        inner = nodes.add("Mul", nodes.add("Div", up, step), step)
    if not fitting.exact:
        padding = nodes.add("Sub", inner, kept)
        x = nodes.add("Pad", x, nodes.concat(nodes.integers(*[0] * 6), padding))
    x = nodes.add("Cast", x, to=element)
    return Fitted(x, cut, whole, kept, inner)


def _one_more(nodes: Nodes, size: str, fitting: Fitting) -> str:
    """Which sides are one pixel longer than the file wants."""
    if fitting.fixed is not None:
        return nodes.add("Equal", size, nodes.integers(*(side + 1 for side in fitting.fixed)))
    rest = nodes.add("Mod", size, nodes.integers(fitting.multiple))
    return nodes.add("Equal", rest, nodes.integers(1))


def _shrunk(nodes: Nodes, whole: str, inner: str) -> str:
    """The size scaled down, if it must be, to fit into the fixed one."""
    sides = nodes.add("Cast", whole, to=TensorProto.FLOAT)
    most = nodes.add("Cast", inner, to=TensorProto.FLOAT)
    ratios = nodes.add("Min", nodes.add("Div", most, sides), nodes.constant(np.ones(1, np.float32)))
    ratio = nodes.add("ReduceMin", ratios, keepdims=0)
    scaled = nodes.add("Round", nodes.add("Mul", sides, ratio))
    return nodes.add("Max", nodes.add("Cast", scaled, to=TensorProto.INT64), nodes.integers(1))
