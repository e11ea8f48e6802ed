"""Asks the replicas of the engine; one that is lost costs a second try, not the answer."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from ray.exceptions import NodeDiedError, ObjectLostError, OutOfMemoryError, RayActorError
from ray.serve.exceptions import DeploymentUnavailableError, ReplicaUnavailableError

from service.cluster.messages import Here, Refused, Reply
from service.errors import DeadlinePassed

log = logging.getLogger(__name__)

TRIES = 2
"""The second is for a replica that was lost. Nothing is changed by a picture's being computed
twice."""
FORGET = 15.0
"""Seconds after which a replica that was not heard of counts no more."""
LOST = (
    RayActorError,
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    DeploymentUnavailableError,
    ReplicaUnavailableError,
)
"""What Ray raises when a replica is gone; OutOfMemoryError is of one that Ray has killed."""


class Handle(Protocol):
    """What Ray's handle of the engine's deployment is used for."""

    infer: Any
    describe: Any


class Replicas:
    """The engine's replicas, as far as they have been heard of. For one event loop."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._heard: dict[str, float] = {}

    @property
    def count(self) -> int:
        """Replicas that have answered lately."""
        since = time.monotonic() - FORGET
        return sum(when > since for when in self._heard.values())

    async def describe(self) -> Here:
        """What one of them, chosen by chance, has. Waits until there is one.

        Raises:
            RayError: it was lost meanwhile.
        """
        here = cast(Here, await self._handle.describe.remote())
        self._hear(here.replica)
        return here

    async def infer(
        self, image: NDArray[np.uint8], deadline: float, confidence: bool, key: str
    ) -> Reply:
        """What becomes of a picture.

        Args:
            image: uint8 [H, W, 3] of the size of a bucket.
            deadline: on the clock of `time.monotonic`.
            confidence: whether the answer should tell it.
            key: that of the model that it was made ready for: see `About`.

        Raises:
            DeadlinePassed: there was no time left for a second try.
        """
        lost = Refused("the replicas that were to compute the picture were lost", "broken", 1)
        broken = ""
        for _ in range(TRIES):
            left = deadline - time.monotonic()
            if left <= 0:
                raise DeadlinePassed("the deadline passed before a replica could be asked")
            asked = self._handle.infer.remote(image, left, confidence, key=key, avoid=broken)
            try:
                reply = await asked
            except asyncio.CancelledError:
                asked.cancel()
                raise
            except LOST as error:
                log.warning("a replica was lost with a picture: %s", error)
                continue
            if isinstance(reply, Refused) and reply.reason == "broken":
                log.warning("a replica cannot compute any more: %s", reply.message)
                broken = reply.replica
                continue
            if not isinstance(reply, Refused):
                self._hear(reply.replica)
            return cast(Reply, reply)
        return lost

    def _hear(self, replica: str) -> None:
        now = time.monotonic()
        self._heard[replica] = now
        if len(self._heard) > 2 * self.count:
            self._heard = {name: when for name, when in self._heard.items() if when > now - FORGET}
