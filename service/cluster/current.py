"""Which model new requests mean, while replicas of an old and a new one may be running."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException

from service.cluster.asking import Replicas
from service.cluster.messages import About
from service.cluster.remote import RemoteEngine
from service.pipeline import Pipeline
from service.repository.models import Models

log = logging.getLogger(__name__)

LOOK_UP = 1.0
"""Seconds between two questions."""
PATIENCE = 5.0
"""Seconds until a question is given up."""


class Current:
    """Asks replicas by chance, and serves the model of the one that answered last.

    So each model gets a share of the requests that is its share of the replicas. A request stays
    with the model that it found.
    """

    def __init__(self, replicas: Replicas) -> None:
        self._replicas = replicas
        self._engines: dict[str, RemoteEngine] = {}
        self._pipelines: dict[str, Pipeline] = {}
        self._models: Models | None = None

    async def first(self) -> RemoteEngine:
        """The model to begin with; waits until a replica has one."""
        here = await self._replicas.describe()
        return self._engine(here.about)

    async def watch(self, models: Models) -> None:
        """Follow the replicas for ever, once `models` has the first one's."""
        self._models = models
        while True:
            await asyncio.sleep(LOOK_UP)
            # One of Serve's own, that no replica is left, is no RayError.
            with suppress(RayError, RayServeException, TimeoutError):
                here = await asyncio.wait_for(self._replicas.describe(), PATIENCE)
                self.meet(here.about)

    def meet(self, about: About) -> None:
        """Serve the model of a replica from now on."""
        models = self._models
        before = next(iter(models or ()), None)
        if models is None or before is None:
            return
        self._pipelines.setdefault(self._key(before), before)
        engine = self._engine(about)
        known = self._pipelines.get(about.key)
        if known is before:
            return
        if known is None:
            log.info("replicas with another model are there: %s, %s", about.card.name, about.key)
            self._pipelines[about.key] = models.put(engine)
        else:
            models.serve(known)
        if (before.engine.card.name, before.engine.version) != (about.card.name, about.version):
            models.remove(before)

    def _engine(self, about: About) -> RemoteEngine:
        """That on a replica's model, which knows now what the replica says."""
        engine = self._engines.get(about.key)
        if engine is None:
            engine = RemoteEngine(about, self._replicas, self.meet)
            self._engines[about.key] = engine
        engine.about = about
        return engine

    def _key(self, pipeline: Pipeline) -> str:
        return next(key for key, engine in self._engines.items() if engine is pipeline.engine)
