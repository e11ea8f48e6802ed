"""Endless, reproducible batches: sample k of a run is the same whenever it is drawn."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from export.data.augment import augment
from export.data.datasets import DataSet, read_pair
from export.errors import UserError
from export.training.config import TrainConfig

Batch = tuple[Tensor, Tensor]


class Samples(Dataset[Batch | UserError]):
    """Augmented samples by their position in the run.

    Item k is float32 [3, crop] in -1..1 and int64 [crop], drawn from (seed, k) alone, so a
    resumed run sees what an unbroken one would have seen. In place of a sample that cannot be
    read stands the reason: raised in a worker, it would arrive as the text of a traceback.
    """

    def __init__(self, dataset: DataSet, config: TrainConfig) -> None:
        self.dataset = dataset
        self.config = config

    def __getitem__(self, position: int) -> Batch | UserError:
        epoch, place = divmod(position, len(self.dataset.samples))
        order = np.random.default_rng((self.config.seed, 0, epoch)).permutation(
            len(self.dataset.samples)
        )
        sample = self.dataset.samples[order[place]]
        rng = np.random.default_rng((self.config.seed, 1, position))
        try:
            pair = read_pair(sample, self.dataset.labels)
        except UserError as error:
            return UserError(str(error))
        image, mask = augment(*pair, self.config.augment, rng)
        return (
            torch.from_numpy(image).permute(2, 0, 1),
            torch.from_numpy(mask.astype(np.int64)),
        )


class Positions(Sampler[list[int]]):
    """The positions of each batch from a step on: one process's part of the whole batches."""

    def __init__(self, config: TrainConfig, start: int, rank: int = 0, count: int = 1) -> None:
        self.config = config
        self.start = start
        self.rank = rank
        self.count = count

    def __iter__(self) -> Iterator[list[int]]:
        part = self.config.batch_size // self.count
        for step in range(self.start, self.config.steps):
            first = step * self.config.batch_size + self.rank * part
            yield list(range(first, first + part))

    def __len__(self) -> int:
        return self.config.steps - self.start


def draw_batches(
    dataset: DataSet, config: TrainConfig, start: int, rank: int = 0, count: int = 1
) -> Iterator[Batch]:
    """Batches of steps `start` to `config.steps`: float32 [n, 3, H, W], int64 [n, H, W].

    The batch is split evenly over `count` processes, of which this is the one number `rank`.

    Raises:
        UserError: a picture or mask cannot be used.
    """
    loader: DataLoader[Batch | UserError] = DataLoader(
        Samples(dataset, config),
        batch_sampler=Positions(config, start, rank, count),
        num_workers=config.workers,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=leave_group,
        collate_fn=collate,
    )
    for batch in loader:
        if isinstance(batch, UserError):
            raise batch
        yield batch


def collate(samples: list[Batch | UserError]) -> Batch | UserError:
    """Samples as one batch, or the first reason why there is none."""
    for sample in samples:
        if isinstance(sample, UserError):
            return sample
    image, mask = default_collate(samples)
    return image, mask


def leave_group(_: int) -> None:
    """Keep signals that reach a whole group of processes from ending the loading of samples.

    The parent, which is asked to stop by them, finishes its step and ends its loaders itself.
    """
    os.setpgrp()
