"""`deeplab import`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from export.commands.arguments import parse
from export.data.labels import read_labels
from export.errors import UserError
from export.weights.exported import import_exported
from export.weights.tflite import TfliteOptions, import_tflite


@dataclass(frozen=True)
class ImportArguments:
    """Turn a file of others, or an exported one, into a checkpoint or weights to start from."""

    file: Annotated[Path, tyro.conf.Positional]
    """MobileNetV2 DeepLab or classifier (.tflite), or a file of `deeplab export` (.onnx)."""
    out: Annotated[Path, tyro.conf.Positional]
    """safetensors file to write."""
    images: Path | None = None
    """Folder of pictures like those to train on; BatchNorm statistics are measured on some."""
    pictures: Path | None = None
    """Folder of pictures to compare with a .tflite on, run in LiteRT; --images if not given."""
    labels: Path | None = None
    """JSON file that names a .tflite's classes; Pascal VOC's if not given."""


def main(name: str, arguments: list[str]) -> None:
    parsed = parse(ImportArguments, name, arguments)
    read = KINDS.get(parsed.file.suffix)
    if read is None:
        raise UserError(
            f"{parsed.file} is of no kind that can be imported; those are {', '.join(KINDS)}"
        )
    print(read(parsed))


def _tflite(arguments: ImportArguments) -> str:
    labels = read_labels(arguments.labels) if arguments.labels else None
    return import_tflite(
        arguments.file,
        arguments.out,
        TfliteOptions(arguments.images, arguments.pictures, labels),
    )


def _exported(arguments: ImportArguments) -> str:
    if arguments.images is None:
        raise UserError(
            f"{arguments.file} has no BatchNorm left to train with; give --images, a folder of "
            "pictures like those to train on"
        )
    import_exported(arguments.file, arguments.images, arguments.out)
    return f"wrote {arguments.out}"


KINDS: dict[str, Callable[[ImportArguments], str]] = {".tflite": _tflite, ".onnx": _exported}
"""What reads a file, by its ending."""
