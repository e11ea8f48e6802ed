"""`deeplab export`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from export.commands.arguments import parse
from export.data.datasets import DataConfig, DataSet, load_dataset
from export.data.pictures import some_pictures
from export.errors import UserError
from export.graph.to_onnx import export_onnx


@dataclass(frozen=True)
class ExportArguments:
    """Write a checkpoint as one self-describing ONNX file, checked on real pictures."""

    checkpoint: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="CHECKPOINT")]
    """Checkpoint of `deeplab train` or `deeplab import`."""
    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]
    """ONNX file to write."""
    data: DataConfig = field(default_factory=DataConfig)
    pictures: Path | None = None
    """Folder of pictures to check the file on where there are no labelled ones to give; the
    recorded quality is then "not measured"."""
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
        _validation(parsed),
        name=parsed.name or parsed.out.stem,
        fp16=parsed.fp16,
        confidence=parsed.confidence,
    )
    print(report)


def _validation(parsed: ExportArguments) -> DataSet | list[Path]:
    if parsed.pictures is None and parsed.data == DataConfig():
        raise UserError(
            "there are no pictures to check the file on: give labelled ones with --data (and "
            "--layout, or --val-images, --val-masks and --labels), or others with --pictures"
        )
    if parsed.pictures is None:
        return load_dataset(parsed.data, "val")
    if parsed.data != DataConfig():
        raise UserError(
            "--pictures is for a model without labelled pictures; with a data set, leave it out"
        )
    return some_pictures(parsed.pictures)
