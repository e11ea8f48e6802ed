"""The deployment that computes: one engine with its queue in each replica."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time

import numpy as np
from numpy.typing import NDArray
from ray import serve

from service.cluster.exported import Exported
from service.cluster.logs import log_as_set
from service.cluster.messages import About, Computed, Here, Refused, Reply
from service.cluster.metrics import EngineMetrics
from service.cluster.shares import engine_settings, processors
from service.engine.engine import Engine
from service.engine.load import load_model
from service.errors import RequestError, StartError
from service.memory import resident_bytes
from service.repository.supply import build_engine
from service.settings import Settings

log = logging.getLogger(__name__)

LOOK_UP = 1.0
"""Seconds between two looks at the engine, at which its metrics are told."""
CLOSING_SECONDS = 5.0


class Replica:
    """An engine that is asked by handle. Batches form in its own queue, as on one machine."""

    def __init__(self, settings: Settings) -> None:
        """Load the model and warm it.

        Raises:
            StartError: the file breaks the contract, or the model does not run.
        """
        self._logging = log_as_set(settings)
        self._name = serve.get_replica_context().replica_id.unique_id
        settings = engine_settings(settings, processors())
        self._metrics = EngineMetrics()
        self._engine = self._loaded(settings)
        self._about = about(self._engine)
        self._metrics.watch(self._engine)
        threading.Thread(target=self._look, name="look", daemon=True).start()

    def _loaded(self, settings: Settings) -> Engine:
        held = resident_bytes()
        model = load_model(settings, settings.model)
        engine = build_engine(settings, model, self._metrics.common, held_before=held)
        engine.start()
        engine.wait_ready()
        if not engine.ready:
            raise StartError(f"the model {settings.model} does not run: {engine.failure}")
        return engine

    async def infer(
        self,
        image: NDArray[np.uint8],
        seconds_left: float,
        confidence: bool,
        key: str,
        avoid: str = "",
    ) -> Reply:
        """The answer to a picture, or why there is none.

        Args:
            image: uint8 [H, W, 3] of the size of a bucket.
            seconds_left: until its deadline; clocks of machines differ.
            confidence: whether the answer should tell it.
            key: that of the model that the picture was made ready for: see `About`.
            avoid: the replica that has failed on it, for `service.cluster.router`.
        """
        engine = self._engine
        if key != self._about.key:
            return await self.describe()
        try:
            future = engine.submit(image, time.monotonic() + seconds_left, confidence)
            answer = await asyncio.wrap_future(future)
        except RequestError as error:
            refused = Refused.of(error)
            if engine.trouble:
                # Another replica can do what this one no longer can.
                refused = Refused(engine.trouble, "broken", 1, self._name)
            self._metrics.refusals.labels(refused.reason).inc()
            return refused
        return Computed(self._name, answer)

    async def describe(self) -> Here:
        """What the replica has."""
        return Here(self._name, self._about)

    def check_health(self) -> None:
        """Called by Ray, which replaces a replica that is not well."""
        if self._engine.trouble:
            raise RuntimeError(f"the model no longer runs: {self._engine.trouble}")

    def record_replica_metadata(self) -> dict[str, str]:
        """Called by Ray once the replica is ready; `service.cluster.router` goes by it."""
        return {"key": self._about.key}

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Called by Ray; `service.cluster.autoscaling` goes by it."""
        return {
            "wait": self._engine.estimate(self._engine.waiting),
            "busy": self._engine.busy,
        }

    def _look(self) -> None:
        exported = Exported(self._metrics.registry)
        while True:
            time.sleep(LOOK_UP)
            exported.push()
            if self._engine.trouble:
                # As a single server does: whoever asks hears of it at once and goes elsewhere.
                log.critical("the model no longer runs, ending: %s", self._engine.trouble)
                time.sleep(LOOK_UP)
                os._exit(1)

    def __del__(self) -> None:
        """Called by Ray once nobody waits for an answer any more."""
        if engine := getattr(self, "_engine", None):
            engine.close(CLOSING_SECONDS)


def about(engine: Engine) -> About:
    """What there is to know of an engine that is ready."""
    placement = engine.placement
    assert placement
    return About(
        engine.card,
        engine.digest,
        engine.version,
        engine.buckets,
        engine.has_confidence,
        engine.provider,
        engine.memory_bytes,
        placement.sessions,
        placement.max_batch,
        placement.threads,
    )
