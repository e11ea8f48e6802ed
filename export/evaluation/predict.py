"""Whole pictures in, label maps out: one way for checkpoints and for ONNX files."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from export.graph.segmentation_graph import SegmentationGraph
from model import DeepLab

PAD_VALUE = 128
"""What fills the padding of a uint8 picture: the nearest to 127.5, which is 0 once normalised."""

Predictor = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""uint8 [N, H, W, 3] RGB to class ids uint8 [N, H, W]; H and W are 16k+1."""


def torch_predictor(network: DeepLab) -> Predictor:
    """Predict with a network, on the device it is on, in evaluation mode."""
    graph = SegmentationGraph(network)

    def predict(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        device = network.classifier.weight.device
        with torch.inference_mode():
            mask = graph(torch.from_numpy(images).to(device))
        return np.asarray(mask.cpu().numpy(), dtype=np.uint8)

    return predict


def padded_size(size: int, output_stride: int = 16) -> int:
    """The smallest k * stride + 1 that is at least `size` and has more than one cell."""
    return max(1, -(-(size - 1) // output_stride)) * output_stride + 1


def segment(
    predict: Predictor,
    image: NDArray[np.uint8],
    output_stride: int = 16,
    size: tuple[int, int] | None = None,
) -> NDArray[np.uint8]:
    """Class ids uint8 [H, W] of a whole picture uint8 [H, W, 3].

    The picture is not resized: it is padded right and below, to `size` or else to what the
    output stride wants, and the padding is cut off again.
    """
    height, width = image.shape[:2]
    return predict(padded(image, output_stride, size)[None])[0, :height, :width]


def padded(
    image: NDArray[np.uint8], output_stride: int = 16, size: tuple[int, int] | None = None
) -> NDArray[np.uint8]:
    """A picture uint8 [H, W, 3] with padding right and below, as large as a network wants it.

    `size` is height and width to pad to; None is the smallest that the output stride wants.
    """
    height, width = image.shape[:2]
    shape = size or (padded_size(height, output_stride), padded_size(width, output_stride))
    result = np.full((*shape, 3), PAD_VALUE, dtype=np.uint8)
    result[:height, :width] = image
    return result
