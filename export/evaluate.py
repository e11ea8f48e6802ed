"""Quality on whole labelled pictures: mean IoU, IoU per class, pixel accuracy."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from export.checkpoint import load_network
from export.datasets import DataSet, Sample, read_image, read_mask
from export.errors import UserError
from export.metrics import ConfusionMatrix
from export.onnx_model import OnnxModel
from export.predict import Predictor, segment, torch_predictor


def measure(predict: Predictor, dataset: DataSet, output_stride: int = 16) -> ConfusionMatrix:
    """Compare predictions with the annotations of every picture, single scale, no flip."""
    matrix = ConfusionMatrix.empty(len(dataset.labels.names))

    def read(sample: Sample) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        return read_image(sample.image), read_mask(sample.mask, dataset.labels)

    with ThreadPoolExecutor(1) as pool:
        pairs = pool.map(read, dataset.samples)
        bar = tqdm(pairs, "evaluating", len(dataset.samples), unit="picture", leave=False)
        for image, truth in bar:
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
    if labels != dataset.labels.names:
        raise UserError(
            f"{path} tells {', '.join(labels)} apart, "
            f"but the data set has {', '.join(dataset.labels.names)}"
        )
    return predictor, output_stride


def report(matrix: ConfusionMatrix, dataset: DataSet) -> str:
    """The quality as a table to read."""
    width = max(len(name) for name in dataset.labels.names)
    rows = [
        f"{name:{width}}  {iou:.4f}"
        for name, iou in zip(dataset.labels.names, matrix.iou, strict=True)
    ]
    return "\n".join(
        [
            *rows,
            f"{'mean IoU':{width}}  {matrix.mean_iou:.4f}",
            f"{'pixel accuracy':{width}}  {matrix.pixel_accuracy:.4f}",
            f"on {len(dataset.samples)} pictures, single scale, no flip",
        ]
    )
