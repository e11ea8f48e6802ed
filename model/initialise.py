"""Weights to start from when there are none, as the released code draws them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from model.layers import SeparableConv

if TYPE_CHECKING:
    from model.deeplab import DeepLab

BACKBONE_STD = 0.09
SEPARABLE_DEPTHWISE_STD = 0.33
SEPARABLE_POINTWISE_STD = 0.06
LOGITS_STD = 0.01


def initialise(network: DeepLab) -> None:
    """Draw every convolution's weights in place; BatchNorm keeps its identity start."""
    backbone_convs = _convs(network.backbone)
    for conv in backbone_convs:
        if network.config.backbone.startswith("resnet"):
            nn.init.kaiming_normal_(conv.weight)
        else:
            _truncated_normal(conv, BACKBONE_STD)
    for head in (network.aspp, network.decoder):
        if head is not None:
            _initialise_head(head)
    _truncated_normal(network.classifier, LOGITS_STD)
    assert network.classifier.bias is not None
    nn.init.zeros_(network.classifier.bias)


def _initialise_head(head: nn.Module) -> None:
    for conv in _convs(head):
        nn.init.xavier_uniform_(conv.weight)
    for module in head.modules():
        if isinstance(module, SeparableConv):
            _truncated_normal(module.depthwise.conv, SEPARABLE_DEPTHWISE_STD)
            _truncated_normal(module.pointwise.conv, SEPARABLE_POINTWISE_STD)


def _convs(module: nn.Module) -> list[nn.Conv2d]:
    return [child for child in module.modules() if isinstance(child, nn.Conv2d)]


def _truncated_normal(conv: nn.Conv2d, std: float) -> None:
    nn.init.trunc_normal_(conv.weight, std=std, a=-2 * std, b=2 * std)
