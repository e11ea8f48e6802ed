"""The raw ONNX Runtime session: what a server can at best come up to."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from service.contract import INPUT, MASK
from service.cores import usable_cores
from service.engine.cpu import Shares, candidates

BATCHES = (1, 2, 4, 8)


class Setting(NamedTuple):
    """How the session is used."""

    sessions: int
    threads: int
    batch: int

    def __str__(self) -> str:
        return f"{self.sessions} x {self.threads} threads, batch {self.batch}"


class Raw:
    """Sessions on a file, fed with one decoded picture again and again."""

    def __init__(self, path: Path, picture: NDArray[np.uint8]) -> None:
        """`picture`: uint8 [H, W, 3] of a bucket's size."""
        self._path = path
        self._picture = picture

    def best(self, seconds: float) -> Setting:
        """The fastest of all ways to share out the cores, with every batch size."""
        settings = [
            Setting(sessions, threads, batch)
            for sessions, threads in candidates(Shares(), usable_cores())
            for batch in BATCHES
        ]
        return max(settings, key=lambda setting: self.rate(setting, seconds))

    def rate(self, setting: Setting, seconds: float) -> float:
        """Pictures per second."""
        sessions = [self._session(setting.threads) for _ in range(setting.sessions)]
        images = np.repeat(self._picture[None], setting.batch, axis=0)
        for session in sessions:
            session.run([MASK], {INPUT: images})
        runs: list[int] = []
        began = time.perf_counter()

        def work(session: onnxruntime.InferenceSession) -> None:
            while time.perf_counter() < began + seconds:
                session.run([MASK], {INPUT: images})
                runs.append(setting.batch)

        threads = [threading.Thread(target=work, args=(session,)) for session in sessions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(runs) / (time.perf_counter() - began)

    def _session(self, threads: int) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # what is worse than a warning
        return onnxruntime.InferenceSession(self._path, options, providers=["CPUExecutionProvider"])
