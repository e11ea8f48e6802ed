"""The application factory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from starlette.middleware.cors import CORSMiddleware

from service.errors import StartError
from service.house import House
from service.http import cutout, docs, info, masks, page, problems, segments, stock
from service.http.connections import Connections
from service.http.headers import SecurityHeaders
from service.http.journal import Journal
from service.http.keys import require_key
from service.http.label_studio import router as label_studio
from service.http.label_studio.fetch import check_settings
from service.http.openapi import describe_formats
from service.http.parameters import refuse_repeated
from service.http.several import calls as several
from service.http.telemetry import telemetry
from service.http.v2 import repository as control
from service.http.v2 import router as v2
from service.images.formats import titles
from service.keys import Keys
from service.lifecycle import Lifecycle
from service.metrics import Metrics
from service.pipeline import Pipeline
from service.repository.keeping import kept
from service.repository.models import Models
from service.repository.supply import Supply
from service.settings import Settings
from service.traces import start_traces
from service.workshop import Workshop

DESCRIPTION = """Masks from photos. Send a picture as multipart field `file` or as the raw body:
{formats}, of which the first frame counts. EXIF orientation is applied, and answers have the size
of the upright picture. Errors are RFC 9457 problem JSON."""

CORS: dict[str, Any] = {
    "allow_methods": ("GET", "POST"),
    "allow_headers": (
        "Authorization",
        "X-API-Key",
        "X-Request-Id",
        "X-Request-Timeout",
        "traceparent",
        "tracestate",
    ),
    "expose_headers": ("Retry-After", "Server-Timing", "X-Request-Id"),
}
"""What pages of the origins that are allowed may do."""


def create_app(
    supply: Supply,
    settings: Settings,
    metrics: Metrics,
    lifecycle: Lifecycle,
    connections: Connections,
) -> FastAPI:
    """The HTTP application; starting it starts the models.

    Args:
        supply: the models to serve.
        settings: the limits.
        metrics: filled with what happens.
        lifecycle: where the service stands; the server moves it forward.
        connections: those of the server.

    Raises:
        StartError: a setting cannot be met.
    """
    house = House(settings, metrics, lifecycle, lambda: connections.unread_bytes)
    workshop = Workshop(settings)
    models = Models(
        lambda engine: Pipeline(engine, house, workshop, settings, metrics),
        supply.provider,
        settings.default_model,
    )
    repository = supply.repository(models, settings)
    tracing = start_traces()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with kept(models, supply, repository, settings):
            yield
        await models.close(lifecycle.time_left / 2)
        workshop.close()
        if tracing:
            await asyncio.to_thread(tracing.stop, lifecycle.time_left)

    app = FastAPI(
        title="deeplab-serve",
        description=DESCRIPTION.format(formats=titles(settings.formats)),
        lifespan=lifespan,
        redirect_slashes=False,
        openapi_url="/openapi.json" if settings.docs else None,
        docs_url=None,
        redoc_url=None,
        telemetry=telemetry(tracing),
    )
    app.state.house = house
    app.state.models = models
    app.state.repository = repository
    app.state.lifecycle = lifecycle
    app.state.metrics = metrics
    app.state.settings = settings
    stock.watch(metrics, models, repository, house, settings, lifecycle, connections)
    # The last one is the outermost.
    if settings.cors_origins:
        app.add_middleware(CORSMiddleware, allow_origins=settings.cors_origins, **CORS)
    app.add_middleware(
        Journal, metrics=metrics, lifecycle=lifecycle, access_log=settings.access_log
    )
    app.add_middleware(SecurityHeaders)
    if settings.page:
        page.install(app, settings)
    if settings.docs:
        docs.install(app)
    problems.install(app)
    locked = lock(settings)
    check_settings(settings)
    calls = APIRouter(dependencies=[Depends(refuse_repeated)])
    for router in (masks.router, segments.router, cutout.router, several.router):
        calls.include_router(router)
    app.include_router(calls, **locked)
    app.include_router(info.models_router, **locked)
    app.include_router(info.metrics_router, **(locked if settings.metrics_key else {}))
    app.include_router(info.router)
    app.include_router(v2.health_router)
    app.include_router(v2.router, **locked)
    app.include_router(label_studio.health_router)
    app.include_router(label_studio.router, **locked)
    app.state.controllable = settings.model_control == "explicit"
    if app.state.controllable:
        app.include_router(control.router, **locked)
    describe_formats(app, settings.formats)
    return app


def lock(settings: Settings) -> dict[str, Any]:
    """What a router is included with so that its calls need an API key, where there are keys.

    Raises:
        StartError: the file of keys cannot be used.
    """
    if settings.api_keys is None:
        if settings.metrics_key:
            raise StartError("setting metrics_key has no meaning without api_keys; name a file")
        return {}
    dependency = Depends(require_key(Keys(settings.api_keys)))
    return {
        "dependencies": [dependency],
        "responses": problems.described((401, "no API key, or none that is accepted")),
    }
