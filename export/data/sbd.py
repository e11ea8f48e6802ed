"""Pascal VOC 2012 with the labels of the Semantic Boundaries Dataset (SBD): "trainaug"."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from export.data.datasets import shorten
from export.data.labels import VOC
from export.data.layouts import read_list
from export.data.mask_png import mask_png
from export.data.reading import UnusableFile, read_mask
from export.data.threads import in_threads
from export.errors import UserError
from export.files import write_whole

PUBLISHED = 10_582
"""Pictures of trainaug when both downloads are complete."""


class Task(NamedTuple):
    """A label map to write and what it is made from."""

    source: Path
    target: Path


def add_sbd(voc: Path, sbd: Path) -> str:
    """Write SegmentationClassAug and ImageSets/Segmentation/trainaug.txt into `voc`.

    VOC's own label maps are taken as they are; SBD's fill in for pictures without. What an
    earlier call wrote whole is kept. The list is written last: SBD's two splits and VOC's
    training split without VOC's validation split.

    Returns:
        what was done, to print.

    Raises:
        UserError: a folder or list is missing, or label maps cannot be used.
    """
    lists = voc / "ImageSets" / "Segmentation"
    dataset = sbd / "dataset" if (sbd / "dataset").is_dir() else sbd
    training, validation = _read_list(lists / "train.txt"), _read_list(lists / "val.txt")
    boundaries = _read_list(dataset / "train.txt") | _read_list(dataset / "val.txt")
    tasks = plan(voc, dataset, training | validation, boundaries)
    written = _run(tasks)
    names = sorted((boundaries | training) - validation)
    write_whole(lists / "trainaug.txt", "".join(f"{name}\n" for name in names).encode())
    complete = (
        "as published" if len(names) == PUBLISHED else f"the published list has {PUBLISHED:,}"
    )
    return (
        f"{len(tasks):,} label maps in {voc / 'SegmentationClassAug'}, {written:,} of them new\n"
        f"{len(names):,} pictures in {lists / 'trainaug.txt'} ({complete})\n"
        f"check them: deeplab data check {voc} --layout voc --train-split trainaug"
    )


def plan(voc: Path, dataset: Path, own: set[str], boundaries: set[str]) -> list[Task]:
    """Which file each label map is made from: VOC's own where there is one."""
    out = voc / "SegmentationClassAug"
    tasks = []
    for name in sorted(own | boundaries):
        source = voc / "SegmentationClass" / f"{name}.png"
        if name not in own and not source.is_file():
            source = dataset / "cls" / f"{name}.mat"
        tasks.append(Task(source, out / f"{name}.png"))
    return tasks


def read_mat(path: Path) -> NDArray[np.uint8]:
    """The label map in a file of SBD's folder `cls`, uint8 [H, W].

    Raises:
        UnusableFile: it cannot be read or is no such file.
    """
    try:
        with path.open("rb") as file:
            content = loadmat(file, variable_names=["GTcls"])
        ids = np.asarray(content["GTcls"]["Segmentation"][0, 0])
    except FileNotFoundError as error:
        raise UnusableFile(path, "does not exist") from error
    except Exception as error:  # what scipy raises on broken files is not a closed list
        raise UnusableFile(
            path, f"cannot be read as a label map of SBD ({type(error).__name__}: {error})"
        ) from error
    if ids.ndim != 2 or not ids.size or ids.min() < 0 or ids.max() >= len(VOC.names):
        raise UnusableFile(path, f"GTcls.Segmentation is no label map of {len(VOC.names)} classes")
    return ids.astype(np.uint8)


def _read_list(path: Path) -> set[str]:
    names = set(read_list(path))
    if not names:
        raise UserError(f"the list {path} is empty")
    return names


def _run(tasks: list[Task]) -> int:
    """Write what is not there yet; the number of files written."""
    results = [result for _, result in in_threads(_convert, tasks, "label maps")]
    problems = [result for result in results if isinstance(result, UserError)]
    if problems:
        raise UserError(
            f"{len(problems):,} of {len(tasks):,} label maps cannot be made; the others are "
            f"written:\n{shorten(problems)}"
        )
    return sum(result is True for result in results)


def _convert(task: Task) -> bool:
    """Write one label map unless it is there; whether it was written."""
    try:
        read_mask(task.target, VOC)
    except UnusableFile:
        write_whole(task.target, _png(task.source))
        return True
    return False


def _png(source: Path) -> bytes:
    if source.suffix == ".png":
        read_mask(source, VOC)
        return source.read_bytes()
    return mask_png(read_mat(source))
