"""`deeplab export`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from export.commands.arguments import parse
from export.data.datasets import DataConfig, load_dataset
from export.graph.to_onnx import export_onnx


@dataclass(frozen=True)
class ExportArguments:
    """Write a checkpoint as one self-describing ONNX file, checked on the validation pictures."""

    checkpoint: Annotated[Path, tyro.conf.Positional]
    """Checkpoint of `deeplab train`."""
    out: Annotated[Path, tyro.conf.Positional]
    """ONNX file to write."""
    data: DataConfig = field(default_factory=DataConfig)
    name: str | None = None
    """Name that the service shows; default: the file's."""
    fp16: bool = False
    """Half precision inside, for GPUs."""
    confidence: bool = False
    """Add the output `confidence`."""


def main(name: str, arguments: list[str]) -> None:
    parsed = parse(ExportArguments, name, arguments)
    report = export_onnx(
        parsed.checkpoint,
        parsed.out,
        load_dataset(parsed.data, "val"),
        name=parsed.name or parsed.out.stem,
        fp16=parsed.fp16,
        confidence=parsed.confidence,
    )
    print(report)
