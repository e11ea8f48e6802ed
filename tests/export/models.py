"""Networks and checkpoints for tests that need no training."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch

from export.data.labels import LabelSet, generic_palette
from export.weights.checkpoint import CheckpointInfo, save_checkpoint
from export.weights.folded import conv_norms
from model import DeepLab, build
from tests.export.runs import TINY_MODEL
from tests.model.backbones import randomise_statistics

LABELS = LabelSet(("ground", "disc", "box"), generic_palette(3), "made for tests")


def random_network(seed: int = 0, **changes: Any) -> DeepLab:
    """A network of three classes whose mask is not one class everywhere."""
    torch.manual_seed(seed)
    network = build(dataclasses.replace(TINY_MODEL, num_classes=3, **changes))
    randomise_statistics(network)
    for layer in conv_norms(network):
        # Neither of them does nothing, so that one that is forgotten shows.
        torch.nn.init.uniform_(layer.norm.weight, 0.8, 1.2)
        torch.nn.init.uniform_(layer.norm.bias, -0.2, 0.2)
    with torch.no_grad():
        network.classifier.weight *= 100
    return network.eval()


def balanced_network(seed: int = 0, **changes: Any) -> DeepLab:
    """A random network that finds each class about as likely, so that small changes show."""
    network = random_network(seed, **changes)
    noise = torch.rand(1, 3, 65, 97, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    with torch.no_grad():
        logits = network.coarse_logits(noise)
        assert network.classifier.bias is not None
        network.classifier.bias -= logits.mean((0, 2, 3))
        for parameter in network.classifier.parameters():
            parameter.mul_(3 / logits.std((0, 2, 3)).mean())
    return network


def write_checkpoint(network: DeepLab, path: Path) -> Path:
    """The network as `deeplab train` would have left it."""
    info = CheckpointInfo(network.config, LABELS, "Shapes", 4, 4, 0.5, "sgd", (49, 65))
    save_checkpoint(path, network, info)
    return path
