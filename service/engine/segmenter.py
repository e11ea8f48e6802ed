"""What the pipeline asks of an engine, whether it is in this process or on another machine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from service.bucket import Bucket
from service.contract import ModelCard
from service.engine.model import Spread
from service.engine.waiting import Answer
from service.errors import InvalidParameter

State = Literal["warming up", "ready", "shutting down", "broken"]


class Segmenter(Protocol):
    """Turns pictures into masks; `service.engine.engine.Engine` says what each member is."""

    @property
    def card(self) -> ModelCard: ...
    @property
    def digest(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def buckets(self) -> Sequence[Bucket]: ...
    @property
    def has_confidence(self) -> bool: ...
    @property
    def provider(self) -> str: ...
    @property
    def placement(self) -> Spread | None: ...
    @property
    def memory_bytes(self) -> int: ...
    @property
    def state(self) -> State: ...
    @property
    def ready(self) -> bool: ...
    @property
    def alive(self) -> bool: ...
    @property
    def failure(self) -> Exception | None: ...
    @property
    def trouble(self) -> str | None: ...
    @property
    def longest_run(self) -> float: ...
    @property
    def capacity(self) -> int: ...
    def at_once(self, pictures: int) -> int: ...
    def require_confidence(self) -> None: ...
    def start(self) -> None: ...
    def wait_ready(self) -> None: ...
    def submit(
        self, image: NDArray[np.uint8], deadline: float, confidence: bool = False
    ) -> Future[Answer]: ...
    def close(self, timeout: float = math.inf) -> None: ...


def no_confidence(card: ModelCard) -> InvalidParameter:
    """What is said when a model should tell how sure it is and has no output for that."""
    return InvalidParameter(
        f"confidence: the model {card.name} cannot tell how sure it is; leave the parameter out, "
        "or add the output to its file: deeplab confidence"
    )
