"""What goes into the ONNX file: the network with everything around it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model import DeepLab
from model.layers import resize


class SegmentationGraph(nn.Module):
    """Normalisation, network, upsampling and argmax, as the ONNX contract has them.

    Maps uint8 [N, H, W, 3] to class ids uint8 [N, H, W].
    """

    def __init__(self, network: DeepLab) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        dtype = self.network.classifier.weight.dtype
        x = normalised(image, dtype)
        logits = resize(self.network.coarse_logits(x), image.shape[1:3])
        return logits.argmax(dim=1).to(torch.uint8)


def normalised(image: Tensor, dtype: torch.dtype) -> Tensor:
    """What a network takes, [N, 3, H, W] in [-1, 1], of uint8 [N, H, W, 3]."""
    return image.permute(0, 3, 1, 2).to(dtype) / 127.5 - 1
