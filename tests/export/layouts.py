"""Miniature data sets in the layouts in which the real ones are distributed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from export.data.labels import generic_palette
from tests.conftest import draw_pair


def save_pair(image: Path, mask: Path, seed: int, ids: dict[int, int]) -> None:
    """A drawn pair; `ids` says how the file writes ground, disc, box (0 to 2) and 255."""
    picture, drawn = draw_pair(seed)
    stored = np.asarray(drawn)
    table = np.arange(256, dtype=np.uint8)
    for meant, written in ids.items():
        table[meant] = written
    for path in (image, mask):
        path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(image)
    Image.fromarray(table[stored]).save(mask)


def write_camvid(root: Path) -> Path:
    for split in ("train", "val"):
        for name in ("a", "b"):
            paths = root / split / f"{name}.jpg", root / f"{split}annot" / f"{name}.png"
            save_pair(*paths, ord(name), {255: 11})
    return root


def write_ade20k(root: Path) -> Path:
    """Ids from 1; 0 is unlabelled."""
    for split in ("training", "validation"):
        for name in ("ADE_1", "ADE_2"):
            paths = root / "images" / split / f"{name}.jpg", root / "annotations" / split
            save_pair(paths[0], paths[1] / f"{name}.png", 0, {0: 1, 1: 2, 2: 150, 255: 0})
    return root


def write_cityscapes(root: Path) -> Path:
    """With labelIds as in the download: 7 road, 26 car, 33 bicycle, 0 unlabelled."""
    for split, city in (("train", "aachen"), ("val", "ulm")):
        for name in (f"{city}_000000_000019", f"{city}_000001_000019"):
            image = root / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png"
            mask = root / "gtFine" / split / city / f"{name}_gtFine_labelIds.png"
            save_pair(image, mask, 0, {0: 7, 1: 26, 2: 33, 255: 0})
    return root


def write_voc(root: Path, **lists: str) -> Path:
    """VOC2012 with palette masks for every name of `train` and `val`; "a b" is a list."""
    for name in sorted({name for names in lists.values() for name in names.split()}):
        mask = root / "SegmentationClass" / f"{name}.png"
        save_pair(root / "JPEGImages" / f"{name}.jpg", mask, ord(name[0]), {})
        image = Image.open(mask)
        image.putpalette([channel for colour in generic_palette(256) for channel in colour])
        image.save(mask)
    write_lists(root / "ImageSets" / "Segmentation", lists)
    return root


def write_sbd(root: Path, **lists: str) -> Path:
    """benchmark_RELEASE, its masks as SBD's own MATLAB structures: all of the class 15."""
    dataset = root / "dataset"
    for folder in ("img", "cls", "inst"):
        (dataset / folder).mkdir(parents=True)
    for name in {name for names in lists.values() for name in names.split()}:
        write_mat(dataset / "cls" / f"{name}.mat", np.full((64, 96), 15, np.uint8))
    write_lists(dataset, lists)
    return root


def write_mat(path: Path, ids: np.ndarray[tuple[int, int], np.dtype[np.uint8]]) -> None:
    boundaries = np.empty((20, 1), dtype=object)
    boundaries[:, 0] = [np.zeros(ids.shape, np.uint8) for _ in range(20)]
    present = np.unique(ids[ids > 0]).astype(np.uint8)[:, None]
    savemat(
        path,
        {"GTcls": {"Segmentation": ids, "Boundaries": boundaries, "CategoriesPresent": present}},
        do_compression=True,
    )


def write_lists(folder: Path, lists: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, members in lists.items():
        (folder / f"{name}.txt").write_text("".join(f"{member}\n" for member in members.split()))
