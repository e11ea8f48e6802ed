"""Optimiser and learning rate of the paper's recipe (section 4 and the released trainer)."""

from __future__ import annotations

import torch
from torch import nn

from export.training.config import TrainConfig
from model import DeepLab

BIAS_MULTIPLIER = 2.0
"""Learning rate of biases (the classifier's) relative to weights in the released trainer."""


def build_optimizer(network: DeepLab, config: TrainConfig) -> torch.optim.Optimizer:
    """SGD with momentum or AdamW, with decay only on convolutions that are not depthwise.

    Each group carries its own `multiplier` of the learning rate.
    """
    groups: dict[tuple[float, float], list[tuple[str, nn.Parameter]]] = {}
    for path, module in network.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            decay = config.weight_decay if _decays(module, name) else 0.0
            multiplier = 1.0 if path.startswith("backbone.") else config.head_multiplier
            if isinstance(module, nn.Conv2d) and name == "bias":
                multiplier *= BIAS_MULTIPLIER
            groups.setdefault((decay, multiplier), []).append((f"{path}.{name}", parameter))
    settings = [
        {"params": parameters, "weight_decay": decay, "multiplier": multiplier}
        for (decay, multiplier), parameters in groups.items()
    ]
    if config.optimizer == "adamw":
        return torch.optim.AdamW(settings, lr=config.learning_rate)
    return torch.optim.SGD(settings, lr=config.learning_rate, momentum=0.9)


def _decays(module: nn.Module, name: str) -> bool:
    depthwise = isinstance(module, nn.Conv2d) and module.groups > 1
    return isinstance(module, nn.Conv2d) and name == "weight" and not depthwise


def learning_rate(config: TrainConfig, step: int) -> float:
    """The poly schedule: base * (1 - step / steps) ^ power, after a linear warm-up if any."""
    warmup = min(1.0, (step + 1) / (config.warmup_steps + 1))
    decay = (1 - step / config.steps) ** config.power
    return float(config.learning_rate * warmup * decay)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate * group["multiplier"]
