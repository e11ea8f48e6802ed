"""The deployment that speaks HTTP: it decodes, asks the engine's replicas, and encodes."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.middleware import Middleware
from starlette.types import ASGIApp

from service.cluster.again import Again
from service.cluster.asking import Handle, Replicas
from service.cluster.current import LOOK_UP, Current
from service.cluster.edge import Edge
from service.cluster.exported import Exported
from service.cluster.logs import log_as_set
from service.cluster.shares import http_settings, processors
from service.http.app import create_app
from service.http.connections import Connections
from service.lifecycle import Lifecycle
from service.metrics import Metrics
from service.repository.supply import Supply
from service.settings import Settings


class Ingress:
    """The application of a single server, on an engine that is elsewhere."""

    def __init__(self, settings: Settings, engine: Handle) -> None:
        self._settings = http_settings(settings, processors())
        self._replicas = Replicas(engine)
        self._tasks: list[asyncio.Task[Any]] = []
        self._logging = log_as_set(settings)

    async def __serve_build_asgi_app__(self) -> ASGIApp:
        """Called by Ray; waits until a replica of the engine is ready."""
        settings, metrics = self._settings, Metrics()
        current = Current(self._replicas)
        engine = await current.first()
        app = create_app(
            Supply(engine.provider, engine),
            settings,
            metrics,
            Lifecycle(),
            # Connections are the proxy's: none is ever made here.
            Connections(settings, metrics, 0),
        )
        app.user_middleware.append(Middleware(Again, longest=settings.request_timeout))
        app.add_middleware(Edge)
        self._tasks = [
            asyncio.create_task(current.watch(app.state.models), name="looking for models"),
            asyncio.create_task(export(metrics), name="showing metrics"),
        ]
        return app

    def check_health(self) -> None:
        """Called by Ray, which replaces a replica that follows the engine's no more.

        Raises:
            RuntimeError: it does not.
        """
        for task in self._tasks:
            if task.done():
                raise RuntimeError(f"{task.get_name()} has ended") from task.exception()


async def export(metrics: Metrics) -> None:
    """Show the metrics on Ray's port for ever."""
    exported = Exported(metrics.registry)
    while True:
        await asyncio.sleep(LOOK_UP)
        await asyncio.to_thread(exported.push)
