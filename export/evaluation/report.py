"""What an evaluation found, to read and for other programs."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

from export.data.datasets import DataSet
from export.evaluation.cost import Cost, cost_of
from export.evaluation.evaluate import Evaluation, evaluate, load_predictor
from export.evaluation.setting import Setting
from export.evaluation.text import aligned, billions
from export.evaluation.trimap import Trimap

MATRIX_CLASSES = 32
"""A confusion matrix of more classes does not fit a terminal."""


@dataclass(frozen=True)
class Report:
    """An evaluation and what it was made with."""

    path: Path
    dataset: DataSet
    setting: Setting
    output_stride: int
    evaluation: Evaluation
    trimap: Trimap | None
    cost: Cost | None
    """Of a picture of the most common size; None where the file does not tell its network."""

    def __str__(self) -> str:
        parts = [class_table(self), self._totals()]
        if self.trimap is not None:
            parts.append(trimap_table({"mean IoU": self.trimap}))
        used = self.setting.describe(self.output_stride)
        parts.append(f"on {len(self.dataset.samples)} pictures, {used}")
        return "\n".join(parts)

    def _totals(self) -> str:
        matrix, seconds = self.evaluation.matrix, self.evaluation.seconds
        totals = {
            "mean IoU": f"{matrix.mean_iou:.4f}",
            "pixel accuracy": f"{matrix.pixel_accuracy:.4f}",
        }
        if self.cost is not None:
            height, width = self.cost.size
            totals["parameters"] = f"{self.cost.parameters:,}"
            totals["multiply-adds"] = (
                f"{billions(self.cost.multiply_adds)} for a picture padded to {height}x{width}"
            )
        totals["time"] = f"{median(seconds):.3f} s per picture (median; mean {mean(seconds):.3f} s)"
        return "\n".join(f"{name:14}  {value}" for name, value in totals.items())

    def to_json(self) -> bytes:
        """Everything measured; NaN, the IoU of a class that occurs nowhere, is null."""
        matrix, seconds = self.evaluation.matrix, self.evaluation.seconds
        names = self.dataset.labels.names
        content: dict[str, Any] = {
            "model": str(self.path),
            "data": self.dataset.name,
            "split": self.dataset.split,
            "pictures": len(self.dataset.samples),
            "setting": {**asdict(self.setting), "output_stride": self.output_stride},
            "mean_iou": number(matrix.mean_iou),
            "pixel_accuracy": matrix.pixel_accuracy,
            "iou": dict(zip(names, map(number, matrix.iou), strict=True)),
            "confusion": matrix.counts.tolist(),
            "cost": asdict(self.cost) if self.cost is not None else None,
            "seconds": {"median": median(seconds), "mean": mean(seconds)},
            "trimap": trimap_values(self.trimap) if self.trimap is not None else None,
        }
        return json.dumps(content, indent=2).encode()


def evaluate_file(
    path: Path, dataset: DataSet, setting: Setting, trimap: Trimap | None = None
) -> Report:
    """Evaluate a checkpoint or an ONNX file.

    Raises:
        UserError: the file, a picture or a mask cannot be used, or not in this setting.
    """
    loaded = load_predictor(path, dataset, setting)
    evaluation = evaluate(loaded.predict, dataset, loaded.output_stride, setting, trimap)
    ((size, _),) = evaluation.sizes.most_common(1)
    cost = cost_of(loaded.model, setting, size) if loaded.model is not None else None
    return Report(path, dataset, setting, loaded.output_stride, evaluation, trimap, cost)


def class_table(report: Report) -> str:
    """IoU of each class, and where its pixels went in percent, if there is room for it."""
    matrix, names = report.evaluation.matrix, report.dataset.labels.names
    shown = len(names) <= MATRIX_CLASSES
    rows = [["", "IoU", *(map(str, range(len(names))) if shown else ())]]
    for index, (name, iou) in enumerate(zip(names, matrix.iou, strict=True)):
        shares = [_percent(share) for share in matrix.shares[index]] if shown else []
        rows.append([f"{index} {name}", f"{iou:.4f}", *shares])
    table = aligned(rows)
    if shown:
        table += "\n(of a row's class, the percentage taken for each column's; a dot is below 0.5)"
    return table


def trimap_table(trimaps: dict[str, Trimap]) -> str:
    """Mean IoU by width of the band, one column a model."""
    curves = [trimap.curve for trimap in trimaps.values()]
    subject = next(iter(trimaps.values())).subject
    rows = [["band, pixels", "share", *trimaps]]
    for points in zip(*curves, strict=True):
        rows.append(
            [
                str(points[0].width),
                f"{points[0].share:.1%}",
                *(f"{point.mean_iou:.4f}" for point in points),
            ]
        )
    return f"mean IoU in bands around {subject}\n{aligned(rows)}"


def trimap_values(trimap: Trimap) -> dict[str, Any]:
    """The curve as JSON has it."""
    curve = trimap.curve
    return {
        "around": trimap.around,
        "widths": [point.width for point in curve],
        "mean_iou": [number(point.mean_iou) for point in curve],
        "share": [float(point.share) for point in curve],
    }


def number(value: float) -> float | None:
    """What JSON can hold of a number."""
    return None if math.isnan(value) else float(value)


def _percent(share: float) -> str:
    return "." if math.isnan(share) or share < 0.005 else f"{100 * share:.0f}"
