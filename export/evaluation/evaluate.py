"""Quality on whole labelled pictures, in a setting of choice."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch

from export.data.datasets import DataSet, read_pair, require_classes
from export.errors import UserError
from export.evaluation.metrics import ConfusionMatrix
from export.evaluation.multi_scale import averaging_predictor
from export.evaluation.predict import Predictor, segment, torch_predictor
from export.evaluation.setting import Setting
from export.evaluation.trimap import Trimap
from export.graph.onnx_model import OnnxModel
from export.progress import progress
from export.weights.checkpoint import load_network
from model import ModelConfig


class Loaded(NamedTuple):
    """A model that is ready to be measured."""

    predict: Predictor
    output_stride: int
    """The one it is evaluated at."""
    model: ModelConfig | None
    """Its network at that output stride; None for an ONNX file that does not tell."""


@dataclass
class Evaluation:
    """What was found on the pictures of a data set."""

    matrix: ConfusionMatrix
    seconds: list[float] = field(default_factory=list)
    """Of each picture: padding, all passes, and the way to a device and back."""
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    """How many pictures were padded to which height and width."""


def measure(predict: Predictor, dataset: DataSet, output_stride: int = 16) -> ConfusionMatrix:
    """Compare predictions with the annotations of every picture, single scale, no flip.

    Raises:
        UserError: a picture or mask cannot be used.
    """
    return evaluate(predict, dataset, output_stride, Setting()).matrix


def evaluate(
    predict: Predictor,
    dataset: DataSet,
    output_stride: int,
    setting: Setting,
    trimap: Trimap | None = None,
) -> Evaluation:
    """Compare predictions with the annotations of every picture.

    Args:
        predict: does what the setting says about scales and flip.
        dataset: the pictures.
        output_stride: what padding follows where the setting gives no size.
        setting: says what pictures are padded to.
        trimap: counts the pixels near edges, if given.

    Raises:
        UserError: a picture or mask cannot be used.
    """
    result = Evaluation(ConfusionMatrix.empty(len(dataset.labels.names)))
    for sample in progress(dataset.samples, "evaluating", unit="picture", leave=False):
        image, truth = read_pair(sample, dataset.labels)
        size = setting.input_size(image.shape[0], image.shape[1], output_stride)
        start = time.perf_counter()
        predicted = segment(predict, image, output_stride, size)
        result.seconds.append(time.perf_counter() - start)
        result.sizes[size] += 1
        result.matrix.add(truth, predicted)
        if trimap is not None:
            trimap.add(truth, predicted)
    return result


def load_predictor(path: Path, dataset: DataSet, setting: Setting | None = None) -> Loaded:
    """Load a checkpoint or an ONNX file to be evaluated in a setting.

    Raises:
        UserError: the file cannot be used, its classes are not the data set's, or it cannot be
            evaluated so.
    """
    setting = setting or Setting()
    if path.suffix == ".onnx":
        return _load_onnx(path, dataset, setting)
    network, info = load_network(path)
    require_classes(info.labels.names, dataset, path)
    if setting.output_stride is not None:
        network.set_output_stride(setting.output_stride)
    if torch.cuda.is_available():
        network.cuda()
    predict = (
        averaging_predictor(network, setting.scales, setting.flip)
        if setting.averages
        else torch_predictor(network)
    )
    return Loaded(predict, network.config.output_stride, network.config)


def _load_onnx(path: Path, dataset: DataSet, setting: Setting) -> Loaded:
    model = OnnxModel(path)
    require_classes(model.labels, dataset, path)
    if setting.averages or setting.output_stride not in (None, model.output_stride):
        raise UserError(
            f"{path} gives classes and no probabilities, at output stride {model.output_stride} "
            "only; --output-stride, --scales and --flip need the checkpoint it was exported from"
        )
    return Loaded(model.predict, model.output_stride, model.config)
