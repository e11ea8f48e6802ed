"""What the engine asks of a model; the providers' files have the real ones."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service.bucket import Bucket
from service.contract import ModelCard

Both = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""Class ids and 255 times the probability of each, uint8 [N, H, W]."""


class Runner(Protocol):
    """Computes masks; used by one thread at a time unless it says otherwise."""

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Class ids uint8 [N, H, W] of pictures uint8 [N, H, W, 3] of one bucket."""

    def run_both(self, images: NDArray[np.uint8]) -> Both:
        """The same with the confidence, of a model that has it."""


class Spread(Protocol):
    """How a model is spread over a machine, in numbers."""

    @property
    def sessions(self) -> int:
        """Batches that are computed at the same time."""

    @property
    def max_batch(self) -> int:
        """Pictures that one run takes at most."""

    @property
    def threads(self) -> int:
        """Threads of one run on a CPU."""

    @property
    def alone_threads(self) -> int:
        """Threads of a run that has the machine for itself."""


@dataclass(frozen=True)
class Placement:
    """How a model is spread over the machine."""

    runners: Sequence[Runner]
    """One for each batch that is computed at the same time."""
    max_batch: int
    """Pictures that one run takes at most."""
    threads: int = 1
    """Threads of one run on a CPU."""
    alone: Runner | None = None
    """For a batch that has the machine for itself, where that is faster; several threads may use it
    at once."""
    alone_threads: int = 1
    """Threads of a run that has the machine for itself."""

    @property
    def sessions(self) -> int:
        """Batches that are computed at the same time."""
        return len(self.runners)


def file_digest(path: Path) -> str:
    """The first twelve digits of a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


class Model(Protocol):
    """A loaded file that can be placed."""

    @property
    def card(self) -> ModelCard: ...

    @property
    def digest(self) -> str:
        """Tells files of one name apart: see `file_digest`."""

    @property
    def has_confidence(self) -> bool:
        """Whether `run_both` works."""

    @property
    def provider(self) -> str:
        """What really runs it: "cpu", "cuda", "tensorrt" or "openvino"."""

    def place(self, buckets: Sequence[Bucket]) -> Placement:
        """Make ready for these buckets: all that would make a first picture slow.

        Raises:
            Exception: whatever the provider raises if the model does not run.
        """
