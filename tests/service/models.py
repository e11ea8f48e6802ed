"""Models for the engine's tests: the real file, held back until told, failing on demand."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx

from service.bucket import Bucket
from service.engine.engine import Engine
from service.engine.model import Both, Placement
from service.engine.session import Session
from service.settings import BUILT_IN_MODEL

SOON = 300.0
"""Only what hangs takes so long, and not a busy machine."""
SMALL, WIDE = Bucket(33, 33), Bucket(33, 49)
POISON = 200
"""First byte of a picture on which the model fails."""


class HeldSession(Session):
    """Waits for its gate before each run, once held; fails as its attributes say."""

    def __init__(self) -> None:
        super().__init__(BUILT_IN_MODEL, "cpu")
        self.held = False
        self.gate = threading.Event()
        self.started = threading.Event()
        self.ran: list[list[int]] = []
        """First bytes of the pictures of each run."""
        self.asked = 0
        """Runs that were to tell the confidence."""
        self.broken = False
        self.fault = ""
        self.memory = 1_000
        """Pictures that fit into memory."""

    def run(self, images: np.ndarray) -> np.ndarray:
        self._begin(images)
        masks = super().run(images)
        if self.fault == "size":
            return masks[:, 1:]
        return masks + 11 if self.fault == "ids" else masks

    def run_both(self, images: np.ndarray) -> Both:
        self._begin(images)
        self.asked += 1
        masks, confidence = super().run_both(images)
        return masks, confidence[:, 1:] if self.fault == "confidence" else confidence

    def _begin(self, images: np.ndarray) -> None:
        if self.held:
            self.started.set()
            self.gate.wait(SOON)
        if self.broken:
            raise RuntimeError("no kernel image is available")
        if len(images) > self.memory:
            raise RuntimeError("Failed to allocate memory for requested buffer")
        firsts = [int(image.flat[0]) for image in images]
        self.ran.append(firsts)
        if POISON in firsts:
            raise RuntimeError("a number that is none")


class HeldModel:
    """The built-in model on one held session."""

    provider = "cpu"
    digest = "held"

    def __init__(self, max_batch: int = 1) -> None:
        self.session = HeldSession()
        self.card = self.session.card
        self.has_confidence = self.session.has_confidence
        self.max_batch = max_batch

    def place(self, buckets: Sequence[Bucket]) -> Placement:
        for bucket in buckets:
            self.session.run(np.zeros((1, *bucket, 3), np.uint8))
        self.session.ran.clear()
        self.session.held = True
        return Placement((self.session,), self.max_batch)


@contextmanager
def held_engine(
    max_batch: int = 1, limit: int = 16, max_delay: float = 0.0
) -> Iterator[tuple[Engine, HeldSession]]:
    """A warm engine whose model waits for its gate."""
    model = HeldModel(max_batch)
    engine = Engine(model, (SMALL, WIDE), limit, max_delay)
    engine.start()
    engine.wait_ready()
    try:
        yield engine, model.session
    finally:
        model.session.gate.set()
        engine.close()


def image(first: int = 0, bucket: Bucket = SMALL) -> np.ndarray:
    pixels = np.zeros((*bucket, 3), np.uint8)
    pixels.flat[0] = first
    return pixels


def later(seconds: float = SOON) -> float:
    return time.monotonic() + seconds


def without_confidence(path: Path) -> Path:
    """The built-in file without its output `confidence`, written to a path."""
    model = onnx.load(BUILT_IN_MODEL)
    (output,) = [output for output in model.graph.output if output.name == "confidence"]
    model.graph.output.remove(output)
    onnx.save(model, path)
    return path
