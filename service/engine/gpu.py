"""A model on a GPU: one session for each shape, warmed before the first picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.bucket import Bucket
from service.contract import ModelCard
from service.engine.batch import run_grey
from service.engine.model import Both, Placement, Runner, file_digest
from service.engine.providers import Provider, Tuning
from service.engine.session import Session


class GpuModel:
    """A file on CUDA or TensorRT.

    onnxruntime plans its convolutions anew whenever a session sees another shape than at its
    last run, so that each shape has a session of its own. One thread uses them all: several
    would wait for each other inside of each convolution.
    """

    def __init__(
        self, path: Path, provider: Provider, batch_sizes: Sequence[int], tuning: Tuning
    ) -> None:
        """
        Args:
            path: the ONNX file.
            provider: "cuda" or "tensorrt".
            batch_sizes: a smaller batch is padded up to the next of these.
            tuning: choices that concern the provider.

        Raises:
            ContractError: the file breaks the contract.
            StartError: the provider does not run.
        """
        self._path = path
        self._tuning = tuning
        self._batch_sizes = tuple(sorted(set(batch_sizes)))
        self.provider: Provider = provider
        session = Session(path, provider)
        self.card: ModelCard = session.card
        self.has_confidence = session.has_confidence
        self.digest = file_digest(path)

    def place(self, buckets: Sequence[Bucket]) -> Placement:
        """Load and warm a session for every bucket and batch size."""
        runners: dict[tuple[int, ...], Runner] = {}
        for bucket in buckets:
            for size in self._batch_sizes:
                shape = (size, *bucket, 3)
                runner = self._load(shape)
                for _ in range(2):  # a CUDA graph is captured by the first run, replayed after
                    run_grey(runner, shape, self.card)
                if self.has_confidence:
                    run_grey(runner, shape, self.card, confidence=True)
                runners[shape] = runner
        return Placement((FixedShapes(runners),), self._batch_sizes[-1])

    def _load(self, shape: tuple[int, int, int, int]) -> Runner:
        session = Session(self._path, self.provider, 1, self._tuning, shape)
        return session.bound(shape, "cuda") if self._tuning.cuda_graphs else session


class FixedShapes:
    """Runs a batch on the smallest shape that holds it. For one thread."""

    def __init__(self, runners: dict[tuple[int, ...], Runner]) -> None:
        """`runners`: by the shape [N, H, W, 3] that each of them takes."""
        self._runners = runners

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Class ids uint8 [N, H, W] of pictures uint8 [N, H, W, 3] of one bucket."""
        runner, filled = self._fill(images)
        return runner.run(filled)[: len(images)]

    def run_both(self, images: NDArray[np.uint8]) -> Both:
        """The same with the confidence."""
        runner, filled = self._fill(images)
        mask, confidence = runner.run_both(filled)
        return mask[: len(images)], confidence[: len(images)]

    def _fill(self, images: NDArray[np.uint8]) -> tuple[Runner, NDArray[np.uint8]]:
        """The runner for a batch, and the batch padded up to its size."""
        count, *picture = images.shape
        size = min(n for n, *rest in self._runners if rest == picture and n >= count)
        if size > count:
            images = np.concatenate([images, np.repeat(images[-1:], size - count, axis=0)])
        return self._runners[(size, *picture)], images
