"""The network as the ONNX exporter reads it fastest.

With symbolic sizes, each BatchNorm and each activation in place costs the exporter more time
than the convolution before it, and ends in the same graph.
"""

from __future__ import annotations

import copy

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from export.weights.folded import conv_norms
from model import DeepLab


def inference_copy(network: DeepLab) -> DeepLab:
    """A network in evaluation mode that computes the same, without BatchNorm.

    Each is folded into its convolution, and no activation works in place.
    """
    copied = copy.deepcopy(network).eval()
    for layer in conv_norms(copied):
        layer.conv = fuse_conv_bn_eval(layer.conv, layer.norm)
        layer.norm = nn.Identity()  # type: ignore[assignment]
    for module in copied.modules():
        if isinstance(module, nn.ReLU | nn.ReLU6):
            module.inplace = False
    return copied
