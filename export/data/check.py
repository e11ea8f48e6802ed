"""Find broken label maps and pictures before any time is spent on training."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from export.data.datasets import DataSet, Sample, read_pair
from export.errors import UserError

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
        try:
            _, mask = read_pair(sample, dataset.labels)
        except UserError as error:
            return str(error)
        return np.bincount(mask.ravel(), minlength=256)[: len(counts)]

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
