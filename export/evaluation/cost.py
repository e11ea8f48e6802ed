"""What an evaluation costs: parameters, and multiply-adds over all its passes."""

from __future__ import annotations

import dataclasses
from functools import cache

import torch

from export.evaluation.setting import Setting, scaled_size
from model import DeepLab, ModelConfig, count_macs, count_parameters


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of one picture in one setting."""

    size: tuple[int, int]
    """Height and width of the padded picture, before it is scaled."""
    parameters: int
    """Trainable values of the network."""
    multiply_adds: int
    """Of the convolutions, summed over scales and mirrored passes."""


def cost_of(model: ModelConfig, setting: Setting, size: tuple[int, int]) -> Cost:
    """Count the cost of one picture, without computing it.

    Args:
        model: the network, at the output stride that is evaluated.
        setting: its scales and flip; its output stride is not looked at.
        size: height and width of the padded picture.
    """
    passes = 2 if setting.flip else 1
    sizes = (scaled_size(size, scale) for scale in setting.scales)
    macs = passes * sum(_macs(model, *scaled) for scaled in sizes)
    return Cost(size, count_parameters(_shapes_of(model)), macs)


@cache
def _macs(model: ModelConfig, height: int, width: int) -> int:
    return count_macs(_shapes_of(model), height, width)


@cache
def _shapes_of(model: ModelConfig) -> DeepLab:
    with torch.device("meta"):
        return DeepLab(model)
