"""Parameters and multiply-adds, counted exactly (the columns of tables 3 and 5)."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


def count_parameters(module: nn.Module) -> int:
    """Trainable values: convolutions, BatchNorm scale and shift, biases of the classifier."""
    return sum(parameter.numel() for parameter in module.parameters())


def count_macs(module: nn.Module, height: int = 513, width: int = 513) -> int:
    """Multiply-adds of the convolutions for one image [1, 3, height, width].

    Only shapes are computed, so the count is exact and takes no time to run. The paper's own
    figures are slightly larger, since its atrous convolutions ran on padded maps.
    """
    probe = copy.deepcopy(module).to("meta").eval()
    total = 0

    def count(conv: nn.Module, _: object, output: Tensor) -> None:
        nonlocal total
        assert isinstance(conv, nn.Conv2d)
        total += output.numel() * conv.weight[0].numel()

    for child in list(probe.modules()):
        if isinstance(child, nn.Conv2d):
            child.register_forward_hook(count)
        # BatchNorm keeps shapes as they are, and takes most of the time to find that out.
        for name, norm in child.named_children():
            if isinstance(norm, nn.BatchNorm2d):
                setattr(child, name, nn.Identity())
    with torch.no_grad():
        probe(torch.empty(1, 3, height, width, device="meta"))
    return total
