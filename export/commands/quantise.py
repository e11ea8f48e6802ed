"""`deeplab quantise`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from export.commands.arguments import parse
from export.data.datasets import DataConfig, load_dataset
from export.graph.quantise import quantise


@dataclass(frozen=True)
class QuantiseArguments:
    """Write an ONNX file with its convolutions in 8-bit integers, for CPUs, and measure it."""

    model: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """ONNX file of `deeplab export`, in single precision."""
    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]
    """ONNX file to write."""
    data: DataConfig = field(default_factory=DataConfig)
    name: str | None = None
    """Name that the service shows; default: the file's."""


def main(name: str, arguments: list[str]) -> None:
    parsed = parse(QuantiseArguments, name, arguments)
    report = quantise(
        parsed.model,
        parsed.out,
        load_dataset(parsed.data, "train"),
        load_dataset(parsed.data, "val"),
        name=parsed.name or parsed.out.stem,
    )
    print(report)
