"""What one run of a grid came to, in a file of its own."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.data.datasets import load_dataset
from export.errors import UserError
from export.evaluation.cost import cost_of
from export.evaluation.report import evaluate_file, number
from export.evaluation.setting import Setting
from export.evaluation.trimap import Trimap
from export.files import write_whole
from export.training.config import TrainConfig
from export.training.train import LAST


@dataclass(frozen=True)
class Result:
    """One design trained with one seed, measured on the validation split."""

    design: str
    seed: int
    mean_iou: float
    per_class: dict[str, float | None]
    """IoU; None for a class that occurs nowhere."""
    trimap: dict[str, float | None]
    """Mean IoU within so many pixels of label edges."""
    parameters: int
    multiply_adds: int
    """For one crop."""
    settings: dict[str, Any]
    """The training configuration, without where its files lie, and what the whole grid shares."""

    def save(self, path: Path) -> None:
        write_whole(path, json.dumps(dataclasses.asdict(self), indent=1).encode())

    @classmethod
    def load(cls, path: Path) -> Result:
        """Read what `save` wrote.

        Raises:
            UserError: the file holds something else.
        """
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise UserError(
                f"{path} is not a result of `deeplab ablate` ({error}); remove it to measure its "
                "run again"
            ) from error


def comparable(run: TrainConfig) -> dict[str, Any]:
    """What must be equal for two runs to be of one grid, as JSON holds it."""
    settings = dataclasses.asdict(run)
    for name in ("data", "out", "init", "workers", "eval_every"):
        del settings[name]
    restored: dict[str, Any] = json.loads(json.dumps(settings))
    return restored


def measured(run: TrainConfig, design: str, settings: dict[str, Any]) -> Result:
    """Measure the weights of a run's last step on the validation split."""
    validation = load_dataset(run.data, "val")
    names = validation.labels.names
    trimap = Trimap(len(names), tuple(settings["trimap_widths"]), "edges")
    found = evaluate_file(run.out / LAST, validation, Setting(), trimap)
    matrix = found.evaluation.matrix
    cost = cost_of(run.model, Setting(), run.augment.crop)
    return Result(
        design=design,
        seed=run.seed,
        mean_iou=matrix.mean_iou,
        per_class=dict(zip(names, map(number, matrix.iou), strict=True)),
        trimap={str(point.width): number(point.mean_iou) for point in trimap.curve},
        parameters=cost.parameters,
        multiply_adds=cost.multiply_adds,
        settings=settings,
    )
