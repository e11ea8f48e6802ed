"""Models made of the built-in one: another by every answer, and one without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from service.settings import BUILT_IN_MODEL


def changed_model(path: Path) -> Path:
    """The built-in model with the ids of its classes moved by one, and other names and colours.

    So a mask of either with the labels of the other is wrong in all its names.
    """
    model = onnx.load(BUILT_IN_MODEL)
    about = {item.key: item for item in model.metadata_props}
    labels = json.loads(about["deeplab.labels"].value)
    palette = json.loads(about["deeplab.palette"].value)
    about["deeplab.labels"].value = json.dumps([f"New{label}" for label in moved(labels)])
    about["deeplab.palette"].value = json.dumps([[blue, red, 7] for red, _, blue in moved(palette)])
    graph = model.graph
    for node in graph.node:
        node.output[:] = ["plain" if name == "mask" else name for name in node.output]
        node.input[:] = ["plain" if name == "mask" else name for name in node.input]
    ids = np.roll(np.arange(len(labels), dtype=np.uint8), -1)
    graph.initializer.append(numpy_helper.from_array(ids, "moved_ids"))
    graph.node.append(helper.make_node("Cast", ["plain"], ["index"], to=onnx.TensorProto.INT64))
    graph.node.append(helper.make_node("Gather", ["moved_ids", "index"], ["mask"], axis=0))
    onnx.save(model, path)
    return path


def quick_model(path: Path) -> Path:
    """The built-in file with a class for each shade of red in place of its network.

    So thousands of pictures cost what is done with them, and no more.
    """
    model = onnx.load(BUILT_IN_MODEL)
    graph = model.graph
    for part in (graph.node, graph.initializer, graph.value_info):
        del part[:]
    del graph.input[1:], graph.output[1:]
    graph.initializer.append(numpy_helper.from_array(np.array(0), "red"))
    graph.initializer.append(numpy_helper.from_array(np.array(32, np.uint8), "shade"))
    graph.node.append(helper.make_node("Gather", ["image", "red"], ["reds"], axis=-1))
    graph.node.append(helper.make_node("Div", ["reds", "shade"], ["mask"]))
    onnx.save(model, path)
    return path


def moved(items: list[Any]) -> list[Any]:
    return items[-1:] + items[:-1]
