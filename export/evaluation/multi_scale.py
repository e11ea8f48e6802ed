"""Averaging over scales and mirrored pictures, as the released evaluation does it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from export.evaluation.predict import Predictor
from export.evaluation.setting import scaled_size
from export.graph.segmentation_graph import normalised
from model import DeepLab
from model.layers import resize


def probabilities(network: DeepLab, images: Tensor, scales: Sequence[float], flip: bool) -> Tensor:
    """The mean over scales, and mirrored pictures, of softmax at the pictures' own size.

    Args:
        network: in evaluation mode.
        images: float [N, 3, H, W] in [-1, 1], padded already.
        scales: sizes of the passes relative to H and W.
        flip: one more pass per scale, over the mirrored pictures.

    Returns:
        float [N, classes, H, W] that sums to 1 over the classes.
    """
    size = (images.shape[2], images.shape[3])
    total: Tensor | None = None
    for scale in scales:
        scaled = resize(images, scaled_size(size, scale))
        for mirrored in (False, True) if flip else (False,):
            logits = network.coarse_logits(scaled.flip(3) if mirrored else scaled)
            logits = logits.flip(3) if mirrored else logits
            # One pass at a time: all of them at once would not fit for a street picture.
            softmax = resize(logits, size).softmax(dim=1)
            total = softmax if total is None else total.add_(softmax)
    assert total is not None
    return total / (len(scales) * (2 if flip else 1))


def averaging_predictor(network: DeepLab, scales: Sequence[float], flip: bool) -> Predictor:
    """Predict the class of the largest mean probability, on the device the network is on."""

    def predict(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        device = network.classifier.weight.device
        with torch.inference_mode():
            x = normalised(torch.from_numpy(images).to(device), torch.float32)
            mask = probabilities(network, x, scales, flip).argmax(dim=1)
        return mask.cpu().numpy().astype(np.uint8)

    return predict
