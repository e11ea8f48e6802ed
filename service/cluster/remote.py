"""An engine whose model is on other machines, for the pipeline the same as one in this process."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import Context
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from service.bucket import Bucket
from service.cluster.asking import Replicas
from service.cluster.messages import About, Here, Refused
from service.contract import ModelCard
from service.engine.segmenter import State, no_confidence
from service.engine.waiting import Answer
from service.errors import Unavailable


class RemoteEngine:
    """One model, computed by whichever replica has it: see `Segmenter`."""

    failure: Exception | None = None
    trouble: str | None = None
    """A replica that is in trouble is replaced by Ray; nothing is wrong with who asks it."""
    alive = True
    longest_run = 0.0
    """What replicas show themselves."""

    def __init__(self, about: About, replicas: Replicas, met: Callable[[About], None]) -> None:
        """
        Args:
            about: the model.
            replicas: those that may have it.
            met: told of another model that a replica has instead.
        """
        self.about = about
        """As the replica says that was heard last; replicas may differ in their placement."""
        self._replicas = replicas
        self._met = met
        self._loop = asyncio.get_running_loop()

    @property
    def card(self) -> ModelCard:
        return self.about.card

    @property
    def digest(self) -> str:
        return self.about.digest

    @property
    def version(self) -> int:
        return self.about.version

    @property
    def buckets(self) -> tuple[Bucket, ...]:
        return self.about.buckets

    @property
    def has_confidence(self) -> bool:
        return self.about.has_confidence

    @property
    def provider(self) -> str:
        return self.about.provider

    @property
    def placement(self) -> About:
        """How it is spread over the machine of each replica."""
        return self.about

    @property
    def memory_bytes(self) -> int:
        return self.about.memory_bytes

    @property
    def state(self) -> State:
        """While no replica is heard of, one is on its way: Ray sees to it."""
        return "ready" if self._replicas.count else "warming up"

    @property
    def ready(self) -> bool:
        return self.state == "ready"

    @property
    def capacity(self) -> int:
        """Pictures that all replicas which are heard of compute at the same time."""
        return self.about.capacity * max(1, self._replicas.count)

    def at_once(self, pictures: int) -> int:
        """As many as its capacity: replicas have fixed shares of their machines."""
        return self.capacity

    @property
    def most_at_once(self) -> int:
        """Twice the capacity: replicas may be there that were not heard of yet, or on their way.

        A large picture has no more windows on the way at a time: see `Cutter`.
        """
        return 2 * self.capacity

    def require_confidence(self) -> None:
        """Refuse what the file cannot do.

        Raises:
            InvalidParameter: it has no output `confidence`.
        """
        if not self.has_confidence:
            raise no_confidence(self.card)

    def start(self) -> None:
        """Nothing: a replica is ready before it is heard of."""

    def wait_ready(self) -> None:
        """Nothing, for the same reason."""

    def submit(
        self, image: NDArray[np.uint8], deadline: float, confidence: bool = False
    ) -> Future[Answer]:
        """Send a picture uint8 [H, W, 3] of the size of a bucket to a replica.

        Raises:
            InvalidParameter: the model has no confidence to tell.

        The future raises what a replica refuses it with, and Unavailable if none has the model.
        """
        if confidence:
            self.require_confidence()
        asked = self._ask(image, deadline, confidence)
        # Ray tells calls apart by the request that they belong to, of which this may be one of
        # several. So each belongs to none.
        return Context().run(asyncio.run_coroutine_threadsafe, asked, self._loop)

    async def _ask(self, image: NDArray[np.uint8], deadline: float, confidence: bool) -> Answer:
        sent = time.monotonic()
        reply = await self._replicas.infer(image, deadline, confidence, self.about.key)
        if isinstance(reply, Refused):
            raise reply.error()
        if isinstance(reply, Here):
            self._met(reply.about)
            raise Unavailable(f"the model {self.card.name} was replaced", "model_changed", 1)
        answer = reply.answer
        # What it was not computed in it waited, or was on its way.
        waited = time.monotonic() - sent - answer.infer_seconds
        return replace(answer, mask=answer.mask.copy(), queue_seconds=waited)

    def close(self, timeout: float = math.inf) -> None:
        """Nothing: replicas end by themselves."""
