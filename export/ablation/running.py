"""One training run within a grid."""

from __future__ import annotations

import contextlib

from export.errors import Stopped
from export.training.config import TrainConfig
from export.training.train import LAST, train
from export.weights.checkpoint import load_checkpoint


def finish(config: TrainConfig) -> None:
    """Train to the end, from the last checkpoint if there is one; what it says goes to a file.

    Raises:
        Stopped: a signal asked for it; the run was saved.
    """
    config.out.mkdir(parents=True, exist_ok=True)
    last = config.out / LAST
    if last.exists() and load_checkpoint(last).info.step >= config.steps:
        return
    with (
        (config.out / "train.txt").open("a", encoding="utf-8") as log,
        contextlib.redirect_stdout(log),
    ):
        try:
            train(config, resume=last.exists())
        except Stopped as stopped:
            raise Stopped(
                f"stopped within {config.out}; the same command goes on with it"
            ) from stopped
