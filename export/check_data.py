"""Find broken label maps and pictures before any time is spent on training."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from export.datasets import DataSet, Sample, read_image, read_mask
from export.errors import UserError
from export.labels import IGNORED, LabelSet

SHOWN = 10


def check_data(dataset: DataSet) -> NDArray[np.int64]:
    """Decode every picture and mask once; count the pixels of each class.

    Returns:
        int64 [classes]: pixels per class, ignored ones left out.

    Raises:
        UserError: names the files that cannot be used and why, up to ten of them.
    """
    counts = np.zeros(len(dataset.labels.names), dtype=np.int64)
    problems: list[str] = []

    def check(sample: Sample) -> NDArray[np.int64] | str:
        return check_sample(sample, dataset.labels)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(check, dataset.samples)
        bar = tqdm(results, "checking data", len(dataset.samples), unit="picture", leave=False)
        for result in bar:
            if isinstance(result, str):
                problems.append(result)
            else:
                counts += result
    if problems:
        more = f"\n... and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise UserError(
            f"{len(problems)} of {len(dataset.samples)} labelled pictures cannot be used:\n"
            + "\n".join(problems[:SHOWN])
            + more
        )
    if not counts.any():
        raise UserError("every pixel of every mask is ignored; there is nothing to learn")
    return counts


def check_sample(sample: Sample, labels: LabelSet) -> NDArray[np.int64] | str:
    """Pixels per class, int64 [classes], or what is wrong with the pair."""
    try:
        height, width = read_image(sample.image).shape[:2]
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        return f"{sample.image}: cannot be read as a picture ({error})"
    try:
        mask = read_mask(sample.mask, labels)
    except UserError as error:
        return str(error)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        return f"{sample.mask}: cannot be read as a mask ({error})"
    if mask.shape != (height, width):
        return (
            f"{sample.mask}: is {mask.shape[1]}x{mask.shape[0]}, but its picture "
            f"{sample.image.name} is {width}x{height}"
        )
    counts = np.bincount(mask.ravel(), minlength=256)
    classes = len(labels.names)
    wrong = [int(i) for i in np.flatnonzero(counts[:IGNORED]) if i >= classes]
    if wrong:
        return (
            f"{sample.mask}: holds the id {', '.join(map(str, wrong))}, but there are {classes} "
            f"classes (0..{classes - 1}); pixels of no class must be {IGNORED}"
        )
    return counts[:classes].astype(np.int64)
