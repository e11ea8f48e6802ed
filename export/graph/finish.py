"""The end of the graph, made cheap: full work only where classes meet.

Bilinear interpolation takes weighted means of four corners. Where a class has the largest logit
at all four, it has the largest mean everywhere between them; so only the patches whose corners
disagree need their logits interpolated, about one in twelve on a street.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, inliner, numpy_helper, parser

from model import ModelConfig

DOMAIN = "deeplab"
# s is the size of a patch, K the number of patches whose corners disagree. The weighted mean is
# a product of matrices; the steps before it collect the corners, those after it put the pixels
# where they belong. The last row and column of the grid are corners of patches that reach
# beyond it: there the edge is repeated, and Slice cuts off what lies beyond the picture.
FINISH = """
<domain: "deeplab", opset_import: ["": 20]>
finish (image, logits, stride, weights, repeated) => (mask)
{
  zero = Constant <value_ints = [0]> ()
  one = Constant <value_ints = [1]> ()
  minus_one = Constant <value_ints = [-1]> ()
  end = Constant <value_ints = [9223372036854775807]> ()
  rows = Constant <value_ints = [1]> ()
  columns = Constant <value_ints = [2]> ()

  size = Shape <start = 1, end = 3> (image)
  grid = Shape <start = 2> (logits)
  steps = Sub (grid, one)
  covered = Mul (steps, stride)
  aligned_size = Add (covered, one)
  same = Equal (size, aligned_size)
  same_number = Cast <to = 6> (same)
  same_both = ReduceMin <keepdims = 0> (same_number)
  aligned = Cast <to = 9> (same_both)

  mask = If (aligned) <
    then_branch = sparse () => (sparse_mask) {
      pixels = Transpose <perm = [0, 2, 3, 1]> (logits)
      best = ArgMax <axis = 3, keepdims = 0> (pixels)
      best_small = Cast <to = 2> (best)
      edge = Constant <value_ints = [0, 0, 0, 0, 1, 1]> ()
      padded = Pad <mode = "edge"> (best_small, edge)
      upper = Slice (padded, zero, minus_one, rows)
      lower = Slice (padded, one, end, rows)
      upper_left = Slice (upper, zero, minus_one, columns)
      upper_right = Slice (upper, one, end, columns)
      lower_left = Slice (lower, zero, minus_one, columns)
      lower_right = Slice (lower, one, end, columns)
      same_above = Equal (upper_left, upper_right)
      same_below = Equal (lower_left, lower_right)
      same_down = Equal (upper_left, lower_left)
      same_across = And (same_above, same_below)
      agreed = And (same_across, same_down)
      disagreed = Not (agreed)
      found = NonZero (disagreed)
      patches = Transpose <perm = [1, 0]> (found)

      offsets = Constant <value = int64[4, 1, 3] {0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 1, 1}> ()
      places = Add (patches, offsets)
      cells = Shape <start = 0, end = 3> (pixels)
      last = Sub (cells, one)
      corner_places = Min (places, last)
      corners = GatherND (pixels, corner_places)
      four_rows = Constant <value_ints = [4, -1]> ()
      corner_matrix = Reshape (corners, four_rows)
      means = MatMul (weights, corner_matrix)
      area = Shape <start = 0, end = 1> (weights)
      classes = Shape <start = 3> (pixels)
      by_pixel = Concat <axis = 0> (area, minus_one, classes)
      patch_logits = Reshape (means, by_pixel)
      patch_best = ArgMax <axis = 2, keepdims = 0> (patch_logits)
      patch_small = Cast <to = 2> (patch_best)
      patch_classes = Transpose <perm = [1, 0]> (patch_small)

      uniform = Gather (repeated, best)
      filled = ScatterND (uniform, patches, patch_classes)
      both = Concat <axis = 0> (stride, stride)
      split = Concat <axis = 0> (cells, both)
      squares = Reshape (filled, split)
      lines = Transpose <perm = [0, 1, 3, 2, 4]> (squares)
      count = Shape <start = 0, end = 1> (pixels)
      whole_size = Mul (grid, stride)
      whole_shape = Concat <axis = 0> (count, whole_size)
      whole = Reshape (lines, whole_shape)
      origin = Concat <axis = 0> (zero, zero)
      both_sides = Concat <axis = 0> (rows, columns)
      sparse_mask = Slice (whole, origin, size, both_sides)
    },
    else_branch = dense () => (dense_mask) {
      maps = Shape <start = 0, end = 2> (logits)
      full_shape = Concat <axis = 0> (maps, size)
      full = Resize <mode = "linear", coordinate_transformation_mode = "align_corners">
        (logits, , , full_shape)
      full_best = ArgMax <axis = 1, keepdims = 0> (full)
      dense_mask = Cast <to = 2> (full_best)
    }
  >
}
"""
"""Maps logits float [N, C, h, w] to classes uint8 [N, H, W] of `image` [N, H, W, 3], given stride
int64 [1], weights float [s * s, 4] and repeated uint8 [C, s * s]. A picture that the grid does
not fit, whose H is not (h - 1) * s + 1 or W likewise, takes the dense way."""


def finish(model: onnx.ModelProto, config: ModelConfig) -> onnx.ModelProto:
    """A model whose mask is the same, computed with less work.

    Args:
        model: a graph of the contract in single precision, without `confidence`, that ends in
            Resize, ArgMax, Cast.
        config: the network's.

    Returns:
        another model, with the same metadata properties.
    """
    finished = onnx.ModelProto()
    finished.CopyFrom(model)
    graph = finished.graph
    logits = _cut_end(graph)
    stride = 4 if config.decoder else config.output_stride
    given: dict[str, NDArray[Any]] = {
        "finish.stride": np.array([stride], np.int64),
        "finish.weights": corner_weights(stride),
        "finish.repeated": np.arange(config.num_classes, dtype=np.uint8)[:, None].repeat(
            stride * stride, axis=1
        ),
    }
    graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in given.items())
    graph.node.append(
        helper.make_node("finish", ["image", logits, *given], ["mask"], domain=DOMAIN)
    )
    finished.functions.append(parser.parse_function(FINISH))
    finished.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    inlined = inliner.inline_local_functions(finished)
    inlined.opset_import.remove(helper.make_opsetid(DOMAIN, 1))
    return inlined


def logits_before(graph: onnx.GraphProto, mask: str) -> str:
    """The name of the logits [N, C, h, w] that a plain end makes the output `mask` of.

    Raises:
        ValueError: the graph has another end.
    """
    makers = {output: node for node in graph.node for output in node.output}
    name = mask
    for kind in ("Cast", "ArgMax", "Resize"):
        if name not in makers or makers[name].op_type != kind:
            raise ValueError("the graph does not end in Resize, ArgMax, Cast")
        name = makers[name].input[0]
    return name


def _cut_end(graph: onnx.GraphProto) -> str:
    """Remove everything that the logits do not need; the name of the logits [N, C, h, w]."""
    logits = logits_before(graph, "mask")
    needed = {logits}
    for node in reversed(list(graph.node)):
        if needed.isdisjoint(node.output):
            graph.node.remove(node)
        else:
            needed.update(node.input)
    for values in (graph.initializer, graph.value_info):
        for value in [value for value in values if value.name not in needed]:
            values.remove(value)
    return logits


def corner_weights(stride: int) -> NDArray[np.float32]:
    """What each corner of a patch adds to each of its pixels, float [stride * stride, 4].

    Pixels go row by row from the upper left corner, corners are upper left, upper right, lower
    left, lower right. The weights are exact for the powers of two that strides are.
    """
    place = np.arange(stride, dtype=np.float32) / np.float32(stride)
    y, x = place.repeat(stride), np.tile(place, stride)
    return np.stack([(1 - y) * (1 - x), (1 - y) * x, y * (1 - x), y * x], axis=1)
