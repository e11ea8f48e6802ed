"""`deeplab import`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from export.commands.arguments import parse
from export.weights.exported import import_exported
from export.weights.tflite import import_tflite


@dataclass(frozen=True)
class ImportArguments:
    """Turn a file of others, or an exported one, into weights to start training from."""

    file: Annotated[Path, tyro.conf.Positional]
    """MobileNetV2 classifier or DeepLab of width 1.0 (.tflite), or a file of `deeplab export`."""
    out: Annotated[Path, tyro.conf.Positional]
    """safetensors file to write."""
    images: Path
    """Folder of pictures like those to train on; BatchNorm statistics are measured on some."""


def main(name: str, arguments: list[str]) -> None:
    parsed = parse(ImportArguments, name, arguments)
    read = import_exported if parsed.file.suffix == ".onnx" else import_tflite
    read(parsed.file, parsed.images, parsed.out)
    print(f"wrote {parsed.out}")
