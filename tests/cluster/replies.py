"""Ray's handle of an engine, whose replicas reply as they are told."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from ray.exceptions import ActorUnavailableError

from service.cluster.messages import About, Reply
from service.engine.session import Session
from service.engine.waiting import Answer
from service.settings import BUILT_IN_MODEL
from tests.service.models import SMALL

ABOUT = About(
    card=Session(BUILT_IN_MODEL, "cpu").card,
    digest="this",
    version=1,
    buckets=(SMALL,),
    has_confidence=False,
    provider="cpu",
    memory_bytes=0,
    sessions=2,
    max_batch=3,
    threads=1,
)
ANSWER = Answer(np.zeros(SMALL, np.uint8), None, 0.0, 0.0, 1)
LOST = ActorUnavailableError("gone", b"0" * 16)


class Asked:
    """A call of a replica, as Ray's handle makes it."""

    def __init__(self, reply: Reply | Exception | None) -> None:
        self.cancelled = False
        self._reply = reply

    def __await__(self) -> Any:
        return self._answer().__await__()

    async def _answer(self) -> Reply:
        if self._reply is None:
            await asyncio.sleep(60)
        if isinstance(self._reply, Exception):
            raise self._reply
        return cast(Reply, self._reply)

    def cancel(self) -> None:
        self.cancelled = True


class Handle:
    """Ray's handle of an engine that replies as it is told."""

    def __init__(self, *replies: Reply | Exception | None) -> None:
        self.calls: list[Asked] = []
        self.seconds: list[float] = []
        self.avoided: list[str] = []
        self._replies = list(replies)
        self.infer = self.describe = SimpleNamespace(remote=self._ask)

    def _ask(self, *given: Any, **named: Any) -> Asked:
        self.seconds += given[1:2]
        self.avoided += [named["avoid"]] if "avoid" in named else []
        self.calls.append(Asked(self._replies.pop(0)))
        return self.calls[-1]
