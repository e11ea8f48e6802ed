"""Parameters and multiply-adds, counted exactly (the columns of tables 3 and 5)."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(module: nn.Module) -> int:
    """Trainable values: convolutions, BatchNorm scale and shift, biases of the classifier."""
    return sum(parameter.numel() for parameter in module.parameters())


def count_macs(module: nn.Module, height: int = 513, width: int = 513) -> int:
    """Multiply-adds of the convolutions for one image [1, 3, height, width].

    Only shapes are computed, so the count is exact and takes no time to run. The paper's own
    figures are slightly larger, since its atrous convolutions ran on padded maps.
    """
    probe = copy.deepcopy(module).to("meta").eval()
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        probe(torch.empty(1, 3, height, width, device="meta"))
    return int(counter.get_total_flops()) // 2
