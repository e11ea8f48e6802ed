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
from export.triton.repository import require_place, write_model

BUILT_IN_MODEL = Path(__file__).parents[2] / "service" / "models" / "camvid-mobilenetv2.onnx"


@dataclass(frozen=True)
class ExportArguments:
    """Write a checkpoint as one self-describing ONNX file, checked on pictures; or for Triton."""

    source: Annotated[
        Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[CHECKPOINT|MODEL.onnx]")
    ] = None
    """Checkpoint of `deeplab train` or `deeplab import`. With --triton also an ONNX file of this
    project, by default the built-in one."""
    out: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[OUT]")] = None
    """ONNX file to write of a checkpoint."""
    data: DataConfig = field(default_factory=DataConfig)
    pictures: Path | None = None
    """Folder of pictures to check the file on where there are no labelled ones to give; the
    recorded quality is then "not measured"."""
    name: str | None = None
    """Name that the service shows, and the model's in Triton's repository; default: the file's."""
    fp16: bool = False
    """Half precision inside, for GPUs."""
    confidence: bool = False
    """Add the output `confidence`."""
    triton: Path | None = None
    """Folder, Triton's model repository, to put the ONNX file and its configuration into."""
    triton_version: int | None = None
    """Put the file beside the versions of a model that is in that repository already."""


def main(name: str, arguments: list[str]) -> None:
    parsed = parse(ExportArguments, name, arguments)
    if parsed.triton_version is not None and parsed.triton is None:
        raise UserError("--triton-version is for --triton, the repository that has the model")
    if parsed.source is None or parsed.source.suffix == ".onnx":
        print(_repository(parsed))
    else:
        print(_export(parsed, parsed.source))


def _export(parsed: ExportArguments, checkpoint: Path) -> str:
    if parsed.out is None:
        raise UserError(f"name the ONNX file to write: deeplab export {checkpoint} OUT.onnx ...")
    name = parsed.name or parsed.out.stem
    if parsed.triton is not None:
        # Before the checks, which take their time.
        require_place(parsed.triton, name, parsed.triton_version)
    report = export_onnx(
        checkpoint,
        parsed.out,
        _validation(parsed),
        name=name,
        fp16=parsed.fp16,
        confidence=parsed.confidence,
    )
    if parsed.triton is None:
        return str(report)
    return f"{report}\n{_put(parsed, parsed.out, parsed.triton, name)}"


def _repository(parsed: ExportArguments) -> str:
    if parsed.triton is None:
        raise UserError(
            "give a checkpoint and the ONNX file to write, as CHECKPOINT OUT.onnx; for Triton an "
            "ONNX file, or none for the built-in model, and --triton with a folder"
        )
    if parsed.out is not None:
        raise UserError(f"{parsed.source} is an ONNX file already; leave {parsed.out} out")
    if parsed.fp16 or parsed.pictures is not None or parsed.data != DataConfig():
        raise UserError("--fp16, --pictures and a data set are for a checkpoint; leave them out")
    return _put(parsed, parsed.source or BUILT_IN_MODEL, parsed.triton, parsed.name)


def _put(parsed: ExportArguments, source: Path, repository: Path, name: str | None) -> str:
    return write_model(
        source, repository, name, parsed.triton_version, confidence=parsed.confidence
    )


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
