"""Pictures and the masks that an adopted file gives for them, to look at."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from export.data.check import survey
from export.data.datasets import DataSet, Sample, read_image
from export.data.grid import draw_grid
from export.data.label_set import LabelSet
from export.data.pictures import spread
from export.evaluation.predict import segment
from export.graph.onnx_model import OnnxModel

DRAWN = 6
"""Pictures on a sheet."""
LONGEST = 512
"""Pixels that the long side of a picture is scaled down to."""


def draw_preview(model: Path, labels: LabelSet, pictures: Sequence[Path]) -> bytes:
    """A PNG of some pictures with their masks drawn in, as `deeplab data check` draws labels.

    Args:
        model: a file of the contract.
        labels: its classes.
        pictures: some of them are drawn.
    """
    predict = OnnxModel(model).predict
    plain = LabelSet(labels.names, labels.palette, labels.licence)
    with tempfile.TemporaryDirectory() as folder:
        samples = []
        for index, path in enumerate(spread(pictures, DRAWN)):
            image = Image.fromarray(read_image(path))
            image.thumbnail((LONGEST, LONGEST))
            sample = Sample(
                Path(folder) / f"{index} {path.stem}.png", Path(folder) / f"{index}.mask.png"
            )
            image.save(sample.image)
            Image.fromarray(segment(predict, read_image(sample.image))).save(sample.mask)
            samples.append(sample)
        made = DataSet(model.name, "masks that it gives", plain, tuple(samples))
        return draw_grid([survey(made)], DRAWN)
