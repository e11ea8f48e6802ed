"""`deeplab evaluate`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from export.commands.arguments import parse
from export.data.datasets import DataConfig, Split, load_dataset
from export.evaluation.evaluate import load_predictor, measure, report


@dataclass(frozen=True)
class EvaluateArguments:
    """Measure mean IoU, IoU per class and pixel accuracy on whole pictures."""

    model: Annotated[Path, tyro.conf.Positional]
    """Checkpoint of `deeplab train` or ONNX file of `deeplab export`."""
    data: DataConfig = field(default_factory=DataConfig)
    split: Split = "val"
    """Which pictures to measure on."""


def main(name: str, arguments: list[str]) -> None:
    parsed = parse(EvaluateArguments, name, arguments)
    dataset = load_dataset(parsed.data, parsed.split)
    predictor, output_stride = load_predictor(parsed.model, dataset)
    print(report(measure(predictor, dataset, output_stride), dataset))
