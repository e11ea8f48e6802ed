"""The rows of a published table as a TOML file: networks, settings, the paper's figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ConfigDict

from export.errors import UserError
from export.evaluation.setting import PAPER_SCALES, Setting
from export.toml_file import read_toml, validated
from model import ModelConfig, OutputStride


@dataclass(frozen=True)
class TableNetwork:
    """A trained network that rows share."""

    model: ModelConfig
    """At the output stride of its training."""
    checkpoint: Path | None = None
    """What `deeplab train` wrote; without, its rows show their cost alone."""
    pretraining: str = ""
    """Data it saw beyond ImageNet and the table's own."""


@dataclass(frozen=True)
class TableRow:
    """One line of a table."""

    network: str
    """Name of a network of the same file."""
    output_stride: OutputStride
    """Output stride of the evaluation."""
    multi_scale: bool = False
    """Whether softmax is averaged over the table's scales."""
    flip: bool = False
    """Whether mirrored pictures are averaged in."""
    paper_mean_iou: float | None = None
    """In percent."""
    paper_multiply_adds: float | None = None
    """In billions."""


@dataclass(frozen=True)
class TableConfig:
    """A table."""

    # For what stands inside, too: a misspelt key is an error.
    __pydantic_config__ = ConfigDict(extra="forbid")

    title: str
    """Stands above it."""
    size: tuple[int, int]
    """Height and width that pictures are padded to."""
    rows: tuple[TableRow, ...]
    """Its lines, in order."""
    networks: dict[str, TableNetwork]
    """By the name that rows call them."""
    scales: tuple[float, ...] = PAPER_SCALES
    """Scales of the rows with `multi_scale`."""

    def __post_init__(self) -> None:
        for number, row in enumerate(self.rows, start=1):
            if row.network not in self.networks:
                raise UserError(
                    f"row {number} names the network {row.network!r}, but there are "
                    f"{', '.join(self.networks)}"
                )

    def setting(self, row: TableRow) -> Setting:
        """How a row is evaluated."""
        scales = self.scales if row.multi_scale else (1.0,)
        return Setting(row.output_stride, scales, row.flip, self.size)


def load_table(path: Path) -> TableConfig:
    """Read a table's configuration.

    Raises:
        UserError: the file cannot be read, or does not describe a table.
    """
    return validated(TableConfig, read_toml(path, "table"), path)
