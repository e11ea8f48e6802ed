"""Smaller copies of a data set's pictures, for experiments on small machines."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from export.data.datasets import DataConfig, DataSet, Sample, read_pair
from export.files import write_whole
from export.progress import progress


def shrunk(dataset: DataSet, width: int, folder: Path) -> None:
    """Write every picture that is wider than `width` at that width; what is there stays.

    Pictures are averaged over areas and label maps sampled, so no class is invented.
    """
    names = unique_names(dataset.samples)
    bar = progress(
        zip(names, dataset.samples, strict=True), "shrinking", len(names), unit="picture"
    )
    for name, sample in bar:
        image_path, mask_path = (folder / kind / f"{name}.png" for kind in ("images", "masks"))
        if image_path.is_file() and mask_path.is_file():
            continue
        image, mask = read_pair(sample, dataset.labels)
        size = (width, max(1, round(image.shape[0] * width / image.shape[1])))
        if image.shape[1] <= width:
            size = (image.shape[1], image.shape[0])
        _write(image_path, image, size, Image.Resampling.BOX)
        _write(mask_path, mask, size, Image.Resampling.NEAREST)


def unique_names(samples: tuple[Sample, ...]) -> list[str]:
    """A file name for each sample: its picture's, with the folder's where pictures share one."""
    stems = [sample.image.stem for sample in samples]
    if len(set(stems)) == len(stems):
        return stems
    return [f"{sample.image.parent.name}-{sample.image.stem}" for sample in samples]


def shrunk_config(training: DataSet, validation: DataSet, width: int, folder: Path) -> DataConfig:
    """Copies of both splits at a width, as plain folders."""
    for split, dataset in (("train", training), ("val", validation)):
        shrunk(dataset, width, folder / split)
    labels = training.labels
    described = {
        "names": labels.names,
        "palette": labels.palette,
        "licence": labels.licence,
        "data": f"{training.name} at a width of {width}",
    }
    write_whole(folder / "labels.json", json.dumps(described).encode())
    return DataConfig(data=folder)


def _write(
    path: Path, pixels: NDArray[np.uint8], size: tuple[int, int], how: Image.Resampling
) -> None:
    data = BytesIO()
    Image.fromarray(pixels).resize(size, how).save(data, "png")
    write_whole(path, data.getvalue())
