"""`deeplab trimap`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from export.commands.arguments import parse
from export.data.datasets import DataConfig, Split, load_dataset
from export.errors import UserError
from export.evaluation.plots import draw_trimaps
from export.evaluation.report import evaluate_file, trimap_table, trimap_values
from export.evaluation.setting import Setting
from export.evaluation.trimap import Around, Trimap
from export.files import write_whole


@dataclass(frozen=True)
class TrimapArguments:
    """Compare models near the edges of objects: mean IoU within bands around them."""

    models: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="MODEL ...")]
    """Checkpoints or ONNX files, such as one with the decoder and one without."""
    data: DataConfig = field(default_factory=DataConfig)
    split: Split = "val"
    """Which pictures to measure on."""
    setting: Setting = field(default_factory=Setting)
    names: tuple[str, ...] = ()
    """What to call the models, one name each; default: their paths."""
    widths: tuple[int, ...] = (1, 2, 3, 5, 8, 12, 16, 24, 32, 40)
    """Widths of the bands in pixels, rising."""
    around: Around = "edges"
    """Bands around all edges between labels, or around ignored pixels as in the paper's VOC."""
    json: Path | None = None
    """JSON file to write the curves to."""
    picture: Path | None = None
    """PNG file to draw the curves in."""


def main(name: str, arguments: list[str]) -> None:
    parsed = parse(TrimapArguments, name, arguments)
    names = parsed.names or tuple(map(str, parsed.models))
    if not parsed.models or not len(set(names)) == len(names) == len(parsed.models):
        raise UserError(
            f"{len(parsed.models)} models have {len(names)} names, {len(set(names))} of them "
            "different; give at least one model, and --names with a name for each or not at all"
        )
    dataset = load_dataset(parsed.data, parsed.split)
    trimaps = {}
    for label, path in zip(names, parsed.models, strict=True):
        trimaps[label] = Trimap(len(dataset.labels.names), parsed.widths, parsed.around)
        report = evaluate_file(path, dataset, parsed.setting, trimaps[label])
        used = parsed.setting.describe(report.output_stride)
        print(f"{label}: mean IoU {report.evaluation.matrix.mean_iou:.4f}, {used}")
    print(trimap_table(trimaps))
    if parsed.json is not None:
        values = {label: trimap_values(trimap) for label, trimap in trimaps.items()}
        write_whole(parsed.json, json.dumps(values, indent=2).encode())
    if parsed.picture is not None:
        title = f"near edges, {dataset.name}, {dataset.split}"
        draw_trimaps(trimaps, title, parsed.picture)
