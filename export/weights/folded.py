"""Networks whose BatchNorm was folded into the convolutions, made trainable again.

Loading such weights as they are would leave nothing for BatchNorm to normalise with, so its
statistics are measured again on pictures and its scale and shift set to undo them: the network
computes the same and can be trained.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from export.data.augment import normalise
from export.data.datasets import read_image
from export.data.pictures import some_pictures
from export.progress import progress
from model.layers import ConvNorm

CALIBRATION_SIDE = 513


class FoldedConv(NamedTuple):
    weight: Tensor
    """float32, as PyTorch lays it out."""
    bias: Tensor


def conv_norms(network: nn.Module) -> list[ConvNorm]:
    """All layers that have a BatchNorm, in the order they run."""
    return [module for module in network.modules() if isinstance(module, ConvNorm)]


def set_folded(layer: ConvNorm, conv: FoldedConv) -> None:
    """Make BatchNorm add the bias and do nothing else."""
    norm = layer.norm
    with torch.no_grad():
        layer.conv.weight.copy_(conv.weight)
        norm.weight.fill_(1)
        norm.bias.copy_(conv.bias)
    assert norm.running_mean is not None and norm.running_var is not None
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - norm.eps)


def unfold(network: nn.Module, layers: list[ConvNorm], pictures: Path) -> None:
    """Give BatchNorm the statistics of real pictures without changing what it computes.

    Args:
        network: in evaluation mode, its `layers` as `set_folded` left them.
        layers: all that have a BatchNorm.
        pictures: folder; up to 16 of its pictures are used.
    """
    sums = {layer: torch.zeros(3, layer.norm.num_features, dtype=torch.float64) for layer in layers}

    def observe(layer: ConvNorm, output: Tensor) -> None:
        values = output.double()
        count = torch.full((values.shape[1],), float(values[:, 0].numel()))
        sums[layer] += torch.stack((count, values.sum((0, 2, 3)), values.pow(2).sum((0, 2, 3))))

    hooks = [
        layer.conv.register_forward_hook(lambda _, __, output, layer=layer: observe(layer, output))
        for layer in layers
    ]
    with torch.no_grad():
        for image in progress(
            _calibration_images(pictures), "measuring statistics", unit="picture"
        ):
            network(image)
        for hook in hooks:
            hook.remove()
        for layer, (count, total, squares) in sums.items():
            norm = layer.norm
            mean = total / count
            variance = (squares / count - mean**2).clamp_min(0)
            assert norm.running_mean is not None and norm.running_var is not None
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
            norm.bias.add_(norm.running_mean)
            norm.weight.copy_((norm.running_var + norm.eps).sqrt())


def _calibration_images(folder: Path) -> list[Tensor]:
    """The pictures, none larger than 513 pixels, float32 [1, 3, H, W] in -1..1."""
    images = []
    for path in some_pictures(folder):
        image = Image.fromarray(read_image(path))
        image.thumbnail((CALIBRATION_SIDE, CALIBRATION_SIDE))
        pixels = normalise(np.asarray(image))
        images.append(torch.from_numpy(pixels).permute(2, 0, 1)[None])
    return images
