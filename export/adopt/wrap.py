"""The graph of the contract around a foreign one."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from export.adopt.after import read_output
from export.adopt.before import make_input
from export.adopt.kind import Kind
from export.adopt.nodes import Nodes
from export.adopt.plain import Plain
from export.graph.confidence import ASKED

PREFIX = "adopted/"
"""Of every name in the foreign graph, so that none is taken twice."""


def wrap(plain: Plain, kind: Kind, *, batched: bool) -> onnx.ModelProto:
    """The foreign graph as one of the contract, without metadata.

    Args:
        plain: what the graph is to compute.
        kind: what the foreign output is.
        batched: the file takes several pictures at once; if not, it is run in a loop over them.
    """
    foreign, fitting = plain.foreign, plain.fitting
    inner = compose.add_prefix(foreign.symbolic(), PREFIX)
    graph = inner.graph
    nodes = Nodes(foreign.opset)
    fitted = make_input(nodes, plain.pixels, fitting, foreign.element)
    given, output = PREFIX + foreign.input, PREFIX + plain.output
    if batched:
        nodes.add("Identity", fitted.pixels, output=given)
        nodes.nodes.extend(graph.node)
    else:
        output = _loop(nodes, list(graph.node), given, output, fitted.pixels)
    outputs = read_output(nodes, output, fitted, fitting, kind, plain.reading)
    inputs = [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", "H", "W", 3])]
    if plain.reading.confidence:
        inputs.append(helper.make_tensor_value_info(ASKED, TensorProto.BOOL, []))
        nodes.constants.append(numpy_helper.from_array(np.array(False), ASKED))
    wrapped = helper.make_graph(
        nodes.nodes,
        "adopted",
        inputs,
        [
            helper.make_tensor_value_info(name, TensorProto.UINT8, ["N", "H", "W"])
            for name in outputs
        ],
        [*graph.initializer, *nodes.constants],
    )
    wrapped.sparse_initializer.extend(graph.sparse_initializer)
    return helper.make_model(
        wrapped, opset_imports=inner.opset_import, ir_version=max(inner.ir_version, 8)
    )


def _loop(nodes: Nodes, inside: list[onnx.NodeProto], given: str, output: str, pixels: str) -> str:
    """Run the foreign nodes once for each picture; the name of all outputs in one batch."""
    body = Nodes(nodes.opset)
    index = body.add("Unsqueeze", "adopt.index", nodes.integers(0))
    body.add("Gather", pixels, index, axis=0, output=given)
    body.nodes.extend(inside)
    body.add("Identity", output, output="adopt.one")
    body.add("Identity", "adopt.more", output="adopt.still")
    graph = helper.make_graph(
        body.nodes,
        "picture",
        [
            helper.make_tensor_value_info("adopt.index", TensorProto.INT64, []),
            helper.make_tensor_value_info("adopt.more", TensorProto.BOOL, []),
        ],
        [
            helper.make_tensor_value_info("adopt.still", TensorProto.BOOL, []),
            onnx.ValueInfoProto(name="adopt.one"),
        ],
    )
    count = nodes.add("Squeeze", nodes.shape(pixels, (0,)), nodes.integers(0))
    always = nodes.constant(np.array(True))
    stacked = nodes.add("Loop", count, always, body=graph)
    return nodes.add("Squeeze", stacked, nodes.integers(1))
