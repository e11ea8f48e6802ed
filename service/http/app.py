"""The application factory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from service.engine.engine import Engine
from service.http import info, masks, problems
from service.http.measure import MeasureRequests
from service.metrics import Metrics
from service.pipeline import Pipeline
from service.settings import Settings

DESCRIPTION = """Masks from photos. Send a picture as multipart field `file` or as the raw body:
JPEG, PNG, WebP or GIF (first frame); EXIF orientation is applied, and answers have the size of
the upright picture. Errors are RFC 9457 problem JSON."""


def create_app(engine: Engine, settings: Settings, metrics: Metrics) -> FastAPI:
    """The HTTP application on an engine; starting the application starts the engine."""
    pipeline = Pipeline(engine, settings, metrics)
    card = engine.card
    metrics.model_info.labels(card.name, engine.provider, card.backbone, card.source_revision).set(
        1
    )

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
    app.state.metrics = metrics
    app.add_middleware(MeasureRequests, metrics=metrics)
    problems.install(app)
    app.include_router(masks.router)
    app.include_router(info.router)
    return app
