"""The output `confidence` of a file: how sure the network is of the class of each pixel.

It has a branch of its own from the logits, so that the cheap end of the mask stays, and stands
inside of an If on an input that is false unless it is given: onnxruntime computes all outputs of
a graph, whether they are fetched or not.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, inliner, numpy_helper, parser

from export.errors import UserError
from export.files import write_whole
from export.graph.finish import DOMAIN, logits_before
from export.graph.onnx_model import OnnxModel

ASKED = "confidence_wanted"
CHECKED_SIZES = ((129, 193), (100, 150))
"""One that the cheap end fits and one that it does not."""
# The chosen class has the largest logit, so its probability is 1 / sum(exp(l - largest)).
BODY = """
  size = Shape <start = 1, end = 3> (image)
  maps = Shape <start = 0, end = 2> (logits)
  full_shape = Concat <axis = 0> (maps, size)
  single = Cast <to = 1> (logits)
  full = Resize <mode = "linear", coordinate_transformation_mode = "align_corners">
    (single, , , full_shape)
  classes = Constant <value_ints = [1]> ()
  largest = ReduceMax (full, classes)
  below = Sub (full, largest)
  odds = Exp (below)
  all_odds = ReduceSum <keepdims = 0> (odds, classes)
  most = Constant <value_float = 255.0> ()
  share = Div (most, all_odds)
  nearest = Round (share)
  computed = Cast <to = 2> (nearest)
"""
PLAIN = f"""
<domain: "{DOMAIN}", opset_import: ["": 20]>
sureness (image, logits) => (computed)
{{ {BODY} }}
"""
GATED = f"""
<domain: "{DOMAIN}", opset_import: ["": 20]>
sureness (image, logits, asked) => (confidence)
{{
  confidence = If (asked) <
    then_branch = wanted () => (computed) {{ {BODY} }},
    else_branch = spared () => (nothing) {{
      nothing = Constant <value = uint8[0, 0, 0] {{}}> ()
    }}
  >
}}
"""


def add_confidence(model: onnx.ModelProto, *, gated: bool) -> onnx.ModelProto:
    """A model with the same mask that can also tell its confidence.

    Args:
        model: a graph of the contract without `confidence`, with the plain end of `convert` or
            the cheap one of `finish`.
        gated: compute it only if the input `confidence_wanted` is given as true; it is a scalar,
            false where it is left out, and `confidence` is then empty. Otherwise it is computed
            always, without branches, which CUDA graphs do not have.

    Returns:
        another model, with the same weights and metadata properties.

    Raises:
        UserError: the model has the output already, or another end.
    """
    if any(output.name == "confidence" for output in model.graph.output):
        raise UserError("the file has the output `confidence` already")
    given = ["image", find_logits(model.graph)]
    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    graph = extended.graph
    if gated:
        given.append(ASKED)
        graph.input.append(helper.make_tensor_value_info(ASKED, onnx.TensorProto.BOOL, []))
        graph.initializer.append(numpy_helper.from_array(np.array(False), ASKED))
    graph.node.append(helper.make_node("sureness", given, ["confidence"], domain=DOMAIN))
    graph.output.append(
        helper.make_tensor_value_info("confidence", onnx.TensorProto.UINT8, ["N", "H", "W"])
    )
    extended.functions.append(parser.parse_function(GATED if gated else PLAIN))
    extended.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    inlined = inliner.inline_local_functions(extended)
    inlined.opset_import.remove(helper.make_opsetid(DOMAIN, 1))
    return inlined


def extend_file(source: Path, out: Path) -> None:
    """Add the output to an exported file.

    Raises:
        UserError: it cannot be loaded or extended, or its masks would change.
    """
    original = OnnxModel(source)
    model = onnx.load(source)
    half = any(t.data_type == onnx.TensorProto.FLOAT16 for t in model.graph.initializer)
    data = add_confidence(model, gated=not half).SerializeToString()
    extended = OnnxModel(data)
    rng = np.random.default_rng(0)
    for size in CHECKED_SIZES:
        image = rng.integers(0, 256, (1, *size, 3), np.uint8)
        if (extended.predict(image) != original.predict(image)).any():
            raise UserError(f"the masks of {source} would change, so nothing was written")
    write_whole(out, data)


def find_logits(graph: onnx.GraphProto) -> str:
    """The name of the logits [N, C, h, w] of a graph of the contract.

    Raises:
        UserError: it ends otherwise than `deeplab export` writes it.
    """
    end = next((node for node in graph.node if "mask" in node.output), None)
    branches = {a.name: a.g for a in end.attribute} if end and end.op_type == "If" else {}
    plain = branches.get("else_branch", graph)
    try:
        return logits_before(plain, plain.output[0].name)
    except ValueError as error:
        raise UserError(
            f"this is not a file of `deeplab export` ({error}); export the checkpoint again with "
            "--confidence"
        ) from error
