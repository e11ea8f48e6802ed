"""The record of a run: TensorBoard events, and a plain file that any program reads."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Self

from torch.utils.tensorboard import SummaryWriter

from export.files import write_whole

LOG = "log.jsonl"
TAGS = {"loss": "train/loss", "learning_rate": "train/learning_rate", "mean_iou": "val/mean_iou"}
"""What a run records, and how TensorBoard calls it."""


class RunLog:
    """`log.jsonl` holds one JSON object per step; line k is step k.

    A run that goes on from a step forgets what an earlier attempt recorded after it.
    """

    def __init__(self, folder: Path, step: int) -> None:
        path = folder / LOG
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        write_whole(path, b"".join(lines[:step]))
        self._file = path.open("a", buffering=1, encoding="utf-8")
        self._board = SummaryWriter(folder, purge_step=step + 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self._board.close()

    def write(self, step: int, values: dict[str, float]) -> None:
        """Record a step's values, under the names of TAGS."""
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        for name, value in values.items():
            self._board.add_scalar(TAGS[name], value, step)
