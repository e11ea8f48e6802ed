"""`deeplab adopt`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from export.adopt.adopt import About, adopt
from export.adopt.labels import labels_of
from export.adopt.options import Pixels, Reading
from export.adopt.preview import draw_preview
from export.commands.arguments import parse
from export.data.datasets import DataConfig, DataSet, Layout, load_dataset
from export.data.pictures import some_pictures
from export.errors import UserError
from export.files import write_whole


@dataclass(frozen=True)
class AdoptArguments:
    """Wrap another project's ONNX segmentation model for the service, and check it."""

    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """ONNX file: float [N, 3, H, W] in; scores [N, C, h, w] or class ids out."""
    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]
    """ONNX file to write."""
    labels: str
    """The classes: voc, cityscapes, ade20k, camvid, a .json label file, a .txt file with a name on
    each line, or the names with commas between them."""
    pixels: Pixels
    reading: Reading = field(default_factory=Reading)
    about: About = field(default_factory=About)
    data: Path | None = None
    """Root folder of a labelled data set to compare and measure the quality on."""
    layout: Layout = "folders"
    """How its pictures lie."""
    pictures: Path | None = None
    """Folder of pictures to compare on, where there are no labelled ones."""
    preview: Path | None = None
    """PNG to draw some pictures and the masks that the result gives for them on."""


def main(name: str, arguments: list[str]) -> None:
    _require_file(arguments)
    parsed = parse(AdoptArguments, name, arguments)
    labels, validation = labels_of(parsed.labels), _validation(parsed)
    report = adopt(
        parsed.file, parsed.out, labels, parsed.pixels, parsed.reading, parsed.about, validation
    )
    print(report)
    if parsed.preview is not None:
        pictures = validation.pictures if isinstance(validation, DataSet) else validation
        write_whole(parsed.preview, draw_preview(parsed.out, labels, pictures))
        print(f"wrote {parsed.preview}: look whether the masks lie on what they name")


def _require_file(arguments: list[str]) -> None:
    """Tell of a file that is not there before all the flags that it would need."""
    # Only a first word is certainly the file: others may be OUT, or what a flag takes.
    if not arguments or arguments[0].startswith("-") or {"-h", "--help"} & set(arguments):
        return
    if not Path(arguments[0]).exists():
        raise UserError(f"cannot read {arguments[0]}: No such file or directory")


def _validation(parsed: AdoptArguments) -> DataSet | list[Path]:
    if (parsed.data is None) == (parsed.pictures is None):
        raise UserError(
            "give pictures to compare the result with the file on: labelled ones with --data, or "
            "a folder of any with --pictures, not both"
        )
    if parsed.data is not None:
        return load_dataset(DataConfig(parsed.layout, parsed.data), "val")
    assert parsed.pictures is not None
    return some_pictures(parsed.pictures)
