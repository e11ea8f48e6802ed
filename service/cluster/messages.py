"""What an engine's replica and those who ask it say to each other.

Refusals are values: Ray would wrap an exception in one of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast, get_args

from service.bucket import Bucket
from service.contract import ModelCard
from service.engine.waiting import Answer
from service.errors import (
    DeadlinePassed,
    EngineFailed,
    InvalidParameter,
    Reason,
    RequestError,
    Shortage,
    Unavailable,
)

PLAIN: tuple[type[RequestError], ...] = (DeadlinePassed, EngineFailed, InvalidParameter)
"""What an engine refuses a picture with, beside a shortage."""


@dataclass(frozen=True)
class About:
    """The model of a replica, and how it is spread over its machine."""

    card: ModelCard
    digest: str
    version: int
    buckets: tuple[Bucket, ...]
    has_confidence: bool
    provider: str
    memory_bytes: int
    sessions: int
    max_batch: int
    threads: int

    @property
    def key(self) -> str:
        """What a picture is made ready for: the file, and the sizes that it is run at."""
        return " ".join([self.digest, *map(str, self.buckets)])

    @property
    def alone_threads(self) -> int:
        """As many as ever: its share of the machine is fixed."""
        return self.threads

    @property
    def capacity(self) -> int:
        """Pictures that the replica computes at the same time."""
        return self.sessions * self.max_batch


@dataclass(frozen=True)
class Here:
    """A replica that says what it has."""

    replica: str
    about: About


@dataclass(frozen=True)
class Computed:
    """An answer, and which replica gave it."""

    replica: str
    answer: Answer


@dataclass(frozen=True)
class Refused:
    """An engine's refusal: see `RequestError`."""

    message: str
    reason: Reason
    retry_after: float = 0.0
    replica: str = ""
    """Which one is broken, if it is that."""

    @classmethod
    def of(cls, error: RequestError) -> Refused:
        """The same as a value."""
        seconds = error.retry_after if isinstance(error, Unavailable) else 0.0
        return cls(str(error), error.reason, seconds)

    def error(self) -> RequestError:
        """The same as an exception."""
        if self.reason in get_args(Shortage):
            return Unavailable(self.message, cast(Shortage, self.reason), self.retry_after)
        kind = next((kind for kind in PLAIN if kind.reason == self.reason), EngineFailed)
        return kind(self.message)


Reply = Computed | Refused | Here
"""What becomes of a picture; a replica that has another model only says which."""
