"""The application factory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from service.engine.engine import Engine
from service.house import House
from service.http import info, masks, problems, stock
from service.http.connections import Connections
from service.http.journal import Journal
from service.lifecycle import Lifecycle
from service.metrics import Metrics
from service.pipeline import Pipeline
from service.settings import Settings

DESCRIPTION = """Masks from photos. Send a picture as multipart field `file` or as the raw body:
JPEG, PNG, WebP or GIF (first frame); EXIF orientation is applied, and answers have the size of
the upright picture. Errors are RFC 9457 problem JSON."""


def create_app(
    engine: Engine,
    settings: Settings,
    metrics: Metrics,
    lifecycle: Lifecycle,
    connections: Connections,
) -> FastAPI:
    """The HTTP application on an engine; starting the application starts the engine.

    Args:
        engine: computes the masks.
        settings: the limits.
        metrics: filled with what happens.
        lifecycle: where the service stands; the server moves it forward.
        connections: those of the server.
    """
    house = House(engine, settings, metrics, lifecycle, lambda: connections.unread_bytes)
    pipeline = Pipeline(engine, house, settings, metrics)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine.start()
        yield
        await pipeline.close()

    app = FastAPI(
        title="deeplab-serve",
        description=DESCRIPTION,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.pipeline = pipeline
    app.state.lifecycle = lifecycle
    app.state.metrics = metrics
    stock.watch(metrics, pipeline, settings, lifecycle, connections)
    app.add_middleware(
        Journal, metrics=metrics, lifecycle=lifecycle, access_log=settings.access_log
    )
    problems.install(app)
    app.include_router(masks.router)
    app.include_router(info.router)
    return app
