"""What a run learns from: both splits, checked whole before the first step."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.data.check import check_data
from export.data.datasets import DataConfig, DataSet, load_dataset
from export.errors import UserError
from export.training.processes import Processes


class Pictures(NamedTuple):
    """The labelled pictures of a run."""

    training: DataSet
    validation: DataSet
    counts: NDArray[np.int64]
    """int64 [classes]: labelled pixels per class in the training split."""


def load_pictures(config: DataConfig, processes: Processes) -> Pictures:
    """Both splits. The first process of each machine decodes every picture and mask once.

    Raises:
        UserError: a split cannot be used, or the processes see different pictures.
    """
    counts = None
    with processes.together():
        training, validation = load_dataset(config, "train"), load_dataset(config, "val")
        if processes.local_rank == 0:
            counts = check_data(training)
            check_data(validation)
    names = [sample.image.name for split in (training, validation) for sample in split.samples]
    seen = processes.gather((names, counts))
    if any(others != names for others, _ in seen):
        raise UserError("the processes do not see the same pictures; give all machines the same")
    counts = seen[0][1]
    assert counts is not None
    return Pictures(training, validation, counts)


def summary(dataset: DataSet, counts: NDArray[np.int64]) -> str:
    """How the labelled pixels are spread, and a warning for classes without any."""
    names = dataset.labels.names
    shares = counts / counts.sum()
    lines = [f"{len(dataset.samples)} pictures to train on; share of the labelled pixels:"]
    lines += [f"  {name}: {share:.2%}" for name, share in zip(names, shares, strict=True)]
    if absent := [name for name, count in zip(names, counts, strict=True) if count == 0]:
        lines.append(
            f"WARNING: no training pixel is labelled {', '.join(absent)}. Masks hold class ids, "
            f"not colours: in a mask of 0 and 255, 255 is ignored; write 1 for class 1"
        )
    return "\n".join(lines)
