"""uvicorn with a way out that loses nothing: not ready first, then closed, then gone."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from types import FrameType

import uvicorn

from service.http.app import create_app
from service.http.connections import Connections
from service.lifecycle import Lifecycle
from service.metrics import Metrics
from service.repository.models import Models
from service.repository.supply import Supply
from service.settings import Settings

log = logging.getLogger(__name__)

LINGER = 0.3
"""Seconds in which the last clients hear that the service is closed, rather than nothing."""
LOOK_UP = 0.02
CLOSING = 5.0
"""Seconds of the time for stopping in which requests are no longer waited for, at most."""


class DrainingServer(uvicorn.Server):
    """Serves until a stop signal, or until something is wrong that only a restart can heal."""

    def __init__(
        self, supply: Supply, settings: Settings, metrics: Metrics, most_connections: int
    ) -> None:
        """
        Args:
            supply: the models; started and closed with the server.
            settings: limits and times.
            metrics: filled with what happens.
            most_connections: open at the same time; more close those that are idle.
        """
        self._settings = settings
        self._lifecycle = Lifecycle()
        connections = Connections(settings, metrics, most_connections)
        app = create_app(supply, settings, metrics, self._lifecycle, connections)
        self.models: Models = app.state.models
        config = uvicorn.Config(
            app,
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            ws="none",
            lifespan="on",
        )
        # uvicorn takes a class or whatever makes its instances.
        config.http = connections.make  # type: ignore[assignment]
        super().__init__(config)
        self.trouble: str | None = None
        """What went wrong with a model, even if it is over by now."""
        self._asked_to_stop = 0
        self._leaving: asyncio.Task[None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A first signal begins the way out, a second one skips the pause, a third one all."""
        self._asked_to_stop += 1
        if self._asked_to_stop > 2:
            self.should_exit = self.force_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second."""
        self.trouble = self.trouble or self.models.trouble
        if self._leaving is None and (self._asked_to_stop or self.trouble):
            self._leaving = asyncio.create_task(self._leave())
        return await super().on_tick(counter)

    async def _leave(self) -> None:
        settings, lifecycle = self._settings, self._lifecycle
        lifecycle.stage = "leaving"
        # Nobody turns away from a service that was never ready.
        pause = settings.drain_delay if self.models.was_ready else 0
        log.info("stopping: not ready any more, closed in %g s", pause)
        await self._until(pause, lambda: self._asked_to_stop > 1)
        lifecycle.stage = "shut"
        lifecycle.ends_at = time.monotonic() + settings.drain_timeout
        # The rest is for a batch that nobody awaits any more, and for what is left of traces.
        until = lifecycle.ends_at - min(CLOSING, settings.drain_timeout / 5)
        log.info("closed; %d requests are being finished", lifecycle.active)
        await self._until(LINGER, lambda: False)
        await self._until(until - time.monotonic(), lambda: not lifecycle.active)
        log.info("ending; requests that could not be finished: %d", lifecycle.active)
        # What is left for connections whose clients are still reading.
        self.config.timeout_graceful_shutdown = max(0, int(until - time.monotonic()))
        self.should_exit = True

    async def _until(self, seconds: float, done: Callable[[], bool]) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and not done() and not self.should_exit:
            await asyncio.sleep(LOOK_UP)
