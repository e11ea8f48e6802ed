"""`deeplab import`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from export.commands.arguments import parse
from export.data.labels import LabelSet, read_labels
from export.errors import UserError
from export.weights.data_sets import DataSet
from export.weights.exported import import_exported
from export.weights.state_dict import import_state_dict
from export.weights.tensorflow import import_tensorflow
from export.weights.tflite import TfliteOptions, import_tflite


@dataclass(frozen=True)
class ImportArguments:
    """Turn a file of others, or an exported one, into a checkpoint or weights to start from."""

    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """State dict of torchvision or timm (.pth, .pt, .bin, .safetensors), official DeepLab
    checkpoint (.index), MobileNetV2 DeepLab or classifier in TensorFlow Lite (.tflite), or a file
    of `deeplab export` (.onnx)."""
    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]
    """safetensors file to write."""
    images: Path | None = None
    """Folder of pictures like those to train on; BatchNorm statistics are measured on some where
    a file has none."""
    pictures: Path | None = None
    """Folder of pictures to compare with a .tflite on, run in LiteRT; --images if not given."""
    backbone_only: bool = False
    """Leave the head of a whole network out, so that --init draws it anew."""
    labels: Path | None = None
    """JSON file that names the classes, where they are not those of a well-known data set."""


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
    labels = _labels(arguments)
    data = DataSet(labels.data, labels) if labels is not None else None
    return import_tensorflow(
        arguments.file, arguments.out, data, backbone_only=arguments.backbone_only
    )


def _tflite(arguments: ImportArguments) -> str:
    return import_tflite(
        arguments.file,
        arguments.out,
        TfliteOptions(
            images=arguments.images,
            pictures=arguments.pictures,
            labels=_labels(arguments),
            backbone_only=arguments.backbone_only,
        ),
    )


def _labels(arguments: ImportArguments) -> LabelSet | None:
    return read_labels(arguments.labels) if arguments.labels else None


def _exported(arguments: ImportArguments) -> str:
    if arguments.images is None:
        raise UserError(
            f"{arguments.file} has no BatchNorm left to train with; give --images, a folder of "
            "pictures like those to train on"
        )
    import_exported(
        arguments.file, arguments.images, arguments.out, backbone_only=arguments.backbone_only
    )
    return f"wrote {arguments.out}"


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
