"""Small networks in the shapes that other projects export, written by torch.onnx.export."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
DYNAMIC = {0: "batch", 2: "height", 3: "width"}


def encoder(channels: int = 8) -> nn.Sequential:
    """From [N, 3, H, W] to [N, channels, H/4, W/4]; no map is flat, so classes differ."""
    return nn.Sequential(
        nn.Conv2d(3, channels, 3, stride=2, padding=1),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 3, stride=2, padding=1),
        nn.ReLU(),
    )


class TorchvisionLike(nn.Module):
    """A dict of `out` and `aux`, both at the picture's size."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.backbone = encoder()
        self.classifier, self.auxiliary = nn.Conv2d(8, classes, 1), nn.Conv2d(8, classes, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.backbone(x)
        return {
            name: F.interpolate(head(features), x.shape[-2:], mode="bilinear", align_corners=False)
            for name, head in (("out", self.classifier), ("aux", self.auxiliary))
        }


class SmpLike(nn.Module):
    """A U-Net of five halvings: it runs on multiples of 32 only."""

    def __init__(self, classes: int, *, sigmoid: bool = False) -> None:
        super().__init__()
        widths = (3, 6, 8, 8, 8, 8)
        self.down = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=2, padding=1) for before, after in pairwise(widths)
        )
        self.up = nn.ModuleList(
            nn.Conv2d(deep + wide, wide, 3, padding=1)
            for deep, wide in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(3, classes, 3, padding=1)
        self.sigmoid = sigmoid

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for conv in self.down:
            maps.append(F.relu(conv(maps[-1])))
        x = maps.pop()
        for conv in self.up:
            larger = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = F.relu(conv(torch.cat([larger, maps.pop()], dim=1)))
        scores = self.head(x)
        return scores.sigmoid() if self.sigmoid else scores


class MmsegLike(nn.Module):
    """Class ids int64 [1, 1, H, W] of one size, the batch fixed inside as well."""

    def __init__(self, classes: int, size: tuple[int, int] = (512, 512)) -> None:
        super().__init__()
        self.backbone, self.head = encoder(), nn.Conv2d(8, classes, 1)
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        scores = self.head(self.backbone(x))
        scores = F.interpolate(scores, self.size, mode="bilinear", align_corners=False)
        flat = scores.reshape(1, scores.shape[1], self.size[0] * self.size[1])
        return flat.argmax(dim=1).reshape(1, 1, *self.size)


class SegformerLike(nn.Module):
    """Logits at a quarter of the picture's size."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.backbone, self.head = encoder(), nn.Conv2d(8, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.backbone(x))


@dataclass(frozen=True)
class Export:
    """How a network is written."""

    size: tuple[int, int] = (128, 160)
    outputs: tuple[str, ...] = ("logits",)
    dynamic: bool = True
    opset: int = 17
    input_name: str = "input"


def write(network: nn.Module, path: Path, export: Export = Export()) -> Path:
    """Write a network by the exporter that these projects use, the one that traces."""
    torch.manual_seed(1)
    for module in network.modules():
        # What was drawn before depends on the tests that ran before.
        if isinstance(module, nn.Conv2d):
            module.reset_parameters()
    for parameter in network.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=1.5 / parameter[0].numel() ** 0.5)
    axes: dict[str, Any] = dict.fromkeys((export.input_name, *export.outputs), DYNAMIC)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        torch.onnx.export(
            network.eval(),
            (torch.zeros(1, 3, *export.size),),
            path,
            dynamo=False,
            opset_version=export.opset,
            input_names=[export.input_name],
            output_names=list(export.outputs),
            dynamic_axes=axes if export.dynamic else None,
        )
    return path
