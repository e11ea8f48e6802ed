"""Quality on whole labelled pictures: mean IoU, IoU per class, pixel accuracy."""

from __future__ import annotations

from pathlib import Path

import torch
from tqdm import tqdm

from export.data.datasets import DataSet, read_pair, require_classes
from export.evaluation.metrics import ConfusionMatrix
from export.evaluation.predict import Predictor, segment, torch_predictor
from export.graph.onnx_model import OnnxModel
from export.weights.checkpoint import load_network


def measure(predict: Predictor, dataset: DataSet, output_stride: int = 16) -> ConfusionMatrix:
    """Compare predictions with the annotations of every picture, single scale, no flip.

    Raises:
        UserError: a picture or mask cannot be used.
    """
    matrix = ConfusionMatrix.empty(len(dataset.labels.names))
    for sample in tqdm(dataset.samples, "evaluating", unit="picture", leave=False):
        image, truth = read_pair(sample, dataset.labels)
        matrix.add(truth, segment(predict, image, output_stride))
    return matrix


def load_predictor(path: Path, dataset: DataSet) -> tuple[Predictor, int]:
    """A predictor for a checkpoint or an ONNX file, and its output stride.

    Raises:
        UserError: the file cannot be used, or its classes are not the data set's.
    """
    predictor: Predictor
    if path.suffix == ".onnx":
        model = OnnxModel(path)
        predictor, labels, output_stride = model.predict, model.labels, model.output_stride
    else:
        network, info = load_network(path)
        if torch.cuda.is_available():
            network.cuda()
        predictor, labels = torch_predictor(network), info.labels.names
        output_stride = info.model.output_stride
    require_classes(labels, dataset, path)
    return predictor, output_stride


def report(matrix: ConfusionMatrix, dataset: DataSet) -> str:
    """The quality as a table to read."""
    rows = dict(zip(dataset.labels.names, matrix.iou, strict=True))
    totals = {"mean IoU": matrix.mean_iou, "pixel accuracy": matrix.pixel_accuracy}
    width = max(map(len, [*rows, *totals]))
    lines = [f"{name:{width}}  {value:.4f}" for name, value in [*rows.items(), *totals.items()]]
    lines.append(f"on {len(dataset.samples)} pictures, single scale, no flip")
    return "\n".join(lines)
