"""`deeplab evaluate`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from export.commands.arguments import parse
from export.data.datasets import DataConfig, Split, load_dataset
from export.evaluation.plots import draw_confusion
from export.evaluation.report import evaluate_file
from export.evaluation.setting import Setting
from export.evaluation.trimap import Around, Trimap
from export.files import write_whole


@dataclass(frozen=True)
class EvaluateArguments:
    """Measure mean IoU, IoU per class, confusion, cost and time on whole pictures."""

    model: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """Checkpoint of `deeplab train` or ONNX file of `deeplab export`."""
    data: DataConfig = field(default_factory=DataConfig)
    split: Split = "val"
    """Which pictures to measure on."""
    setting: Setting = field(default_factory=Setting)
    trimap: tuple[int, ...] = ()
    """Widths in pixels of bands to measure mean IoU in as well."""
    trimap_around: Around = "edges"
    """Bands around all edges between labels, or around ignored pixels as in the paper's VOC."""
    json: Path | None = None
    """JSON file to write the results to."""
    picture: Path | None = None
    """PNG file to draw the confusion matrix and IoU per class in."""


def main(name: str, arguments: list[str]) -> None:
    parsed = parse(EvaluateArguments, name, arguments)
    dataset = load_dataset(parsed.data, parsed.split)
    names = dataset.labels.names
    trimap = Trimap(len(names), parsed.trimap, parsed.trimap_around) if parsed.trimap else None
    report = evaluate_file(parsed.model, dataset, parsed.setting, trimap)
    print(report)
    if parsed.json is not None:
        write_whole(parsed.json, report.to_json())
    if parsed.picture is not None:
        # The file alone is "best.safetensors" for every run.
        model = "/".join(parsed.model.parts[-2:])
        used = parsed.setting.describe(report.output_stride)
        title = f"{model} on {dataset.name}, {dataset.split}: {used}"
        draw_confusion(report.evaluation.matrix, names, title, parsed.picture)
