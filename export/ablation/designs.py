"""The decoder designs that the paper compares: tables 1 and 2, and with or without decoder."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from model import LowLevel, ModelConfig

PAPER_CHANNELS = 256
"""Channels of ASPP and of the decoder's convolutions in the paper."""
PAPER_NETWORKS = {"resnet": "ResNet-101", "xception": "Xception-65"}
NO_DECODER = "none"


@dataclass(frozen=True)
class Design:
    """A decoder as the paper writes it, or none where there are no convolutions."""

    projection: int = 48
    """Channels of the 1x1 convolution on each low-level feature."""
    convs: tuple[tuple[int, int], ...] = ((3, 256),)
    """(kernel size, channels) after each concatenation."""
    low_level: tuple[LowLevel, ...] = ("conv2",)

    @property
    def name(self) -> str:
        """Tells designs apart and can stand in a path, such as "48-3x256-3x256"."""
        if not self.convs:
            return NO_DECODER
        convs = "-".join(f"{kernel}x{channels}" for kernel, channels in self.convs)
        return f"{self.projection}-{convs}" + ("-conv3" if len(self.low_level) > 1 else "")

    def applied(self, model: ModelConfig) -> ModelConfig:
        """A network with this decoder.

        All widths are scaled as those of its ASPP are, so that a narrow network has the paper's
        proportions between low-level features and the rest.
        """
        if not self.convs:
            return dataclasses.replace(model, decoder=False)
        scale = model.aspp_channels / PAPER_CHANNELS
        return dataclasses.replace(
            model,
            decoder=True,
            decoder_low_level=self.low_level,
            decoder_projection=max(1, round(self.projection * scale)),
            decoder_convs=tuple((kernel, max(1, round(c * scale))) for kernel, c in self.convs),
        )


@dataclass(frozen=True)
class Row:
    """A line of a table."""

    label: str
    design: Design
    paper: dict[str, float]
    """The paper's mean IoU in percent on Pascal VOC's validation split, by family of backbone."""


@dataclass(frozen=True)
class Table:
    title: str
    column: str
    """What its rows differ in."""
    rows: tuple[Row, ...]
    choice: Design
    """What the paper took, and what the others are compared with."""

    def published(self, backbone: str) -> tuple[str, list[float]]:
        """The paper's network that is nearest to a backbone, and its mean IoU for each row."""
        family = "xception" if backbone.startswith("xception") else "resnet"
        if any(family not in row.paper for row in self.rows):
            family = "resnet"
        return PAPER_NETWORKS[family], [row.paper[family] for row in self.rows]


def _resnet(label: str, design: Design, paper: float) -> Row:
    return Row(label, design, {"resnet": paper})


TWO_CONVS = Design(convs=((3, 256), (3, 256)))
TABLES = {
    "1": Table(
        title="Table 1: channels of the 1x1 convolution on Conv2, then [3x3, 256]",
        column="channels",
        rows=(
            _resnet("8", Design(8), 77.61),
            _resnet("16", Design(16), 77.92),
            _resnet("32", Design(32), 78.16),
            _resnet("48", Design(48), 78.21),
            _resnet("64", Design(64), 77.94),
        ),
        choice=Design(48),
    ),
    "2": Table(
        title="Table 2: convolutions after [1x1, 48]",
        column="convolutions",
        rows=(
            _resnet("[3x3, 256]", Design(), 78.21),
            _resnet("[3x3, 256] x 2", TWO_CONVS, 78.85),
            _resnet("[3x3, 256] x 3", Design(convs=((3, 256),) * 3), 78.02),
            _resnet("[3x3, 128]", Design(convs=((3, 128),)), 77.25),
            _resnet("[1x1, 256]", Design(convs=((1, 256),)), 78.07),
            _resnet("Conv3 too, [3x3, 256]", Design(low_level=("conv3", "conv2")), 78.61),
        ),
        choice=TWO_CONVS,
    ),
    "decoder": Table(
        title="Tables 3 and 5: without and with the decoder",
        column="network",
        rows=(
            Row("no decoder", Design(convs=()), {"resnet": 77.21, "xception": 79.17}),
            Row("decoder", TWO_CONVS, {"resnet": 78.85, "xception": 79.93}),
        ),
        choice=TWO_CONVS,
    ),
}


def designs(tables: Sequence[str]) -> list[Design]:
    """The designs of some tables, each once."""
    return list(dict.fromkeys(row.design for name in tables for row in TABLES[name].rows))
