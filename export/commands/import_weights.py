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
from export.weights.state_dict import import_state_dict
from export.weights.tensorflow import import_tensorflow
from export.weights.tflite import import_tflite


@dataclass(frozen=True)
class ImportArguments:
    """Turn a file of others, or an exported one, into a checkpoint or weights to start from."""

    file: Annotated[Path, tyro.conf.Positional]
    """State dict of torchvision or timm (.pth, .pt, .bin, .safetensors), official DeepLab
    checkpoint (.index), MobileNetV2 in TensorFlow Lite (.tflite), or a file of `deeplab export`
    (.onnx)."""
    out: Annotated[Path, tyro.conf.Positional]
    """safetensors file to write."""
    images: Path | None = None
    """Folder of pictures like those to train on; BatchNorm statistics are measured on some where
    a file has none."""
    labels: Path | None = None
    """JSON file that names the classes, where they are neither Pascal VOC's nor Cityscapes'."""


def main(name: str, arguments: list[str]) -> None:
    parsed = parse(ImportArguments, name, arguments)
    read = KINDS.get(parsed.file.suffix)
    if read is None:
        raise UserError(
            f"{parsed.file} is of no kind that can be imported; those are {', '.join(KINDS)}"
        )
    print(read(parsed))


def _state_dict(arguments: ImportArguments) -> str:
    return import_state_dict(arguments.file, arguments.out)


def _tensorflow(arguments: ImportArguments) -> str:
    labels = read_labels(arguments.labels) if arguments.labels else None
    return import_tensorflow(arguments.file, arguments.out, labels)


def _tflite(arguments: ImportArguments) -> str:
    import_tflite(arguments.file, _images(arguments), arguments.out)
    return f"wrote {arguments.out}"


def _exported(arguments: ImportArguments) -> str:
    import_exported(arguments.file, _images(arguments), arguments.out)
    return f"wrote {arguments.out}"


def _images(arguments: ImportArguments) -> Path:
    if arguments.images is None:
        raise UserError(
            f"{arguments.file} has no BatchNorm left to train with; give --images, a folder of "
            "pictures like those to train on"
        )
    return arguments.images


KINDS: dict[str, Callable[[ImportArguments], str]] = {
    ".pth": _state_dict,
    ".pt": _state_dict,
    ".bin": _state_dict,
    ".safetensors": _state_dict,
    ".index": _tensorflow,
    ".tflite": _tflite,
    ".onnx": _exported,
}
"""What reads a file, by its ending."""
