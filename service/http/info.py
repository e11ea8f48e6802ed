"""What is loaded, whether it is well, and the metrics."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from service.errors import Shortage
from service.http.lookup import find_pipeline, models_of
from service.http.problems import described, problem, retry_after
from service.http.schemas import Failed, Health, Model, Models, Placed, Size
from service.metrics import Metrics
from service.pipeline import Pipeline
from service.repository.models import State
from service.repository.repository import Repository

NOT_READY: dict[State, tuple[Shortage, str]] = {
    "warming up": ("warming_up", "the service is warming up"),
    "shutting down": ("shutting_down", "the service is shutting down"),
    "broken": ("broken", "the service is broken"),
    "empty": ("no_model", "no model is loaded: put one into the folder of models"),
}
VERSION = "version of the model; the newest if absent"

router = APIRouter()
models_router = APIRouter(prefix="/v1/models", tags=["models"])
metrics_router = APIRouter()


@models_router.get("", summary="All loaded models")
async def models(request: Request) -> Models:
    repository: Repository | None = request.app.state.repository
    return Models(
        models=[describe(pipeline) for pipeline in models_of(request)],
        failed=[
            Failed(name=entry.name, version=entry.version, detail=detail)
            for entry, detail in (repository.failures.items() if repository else ())
        ],
    )


@models_router.get(
    "/{name}",
    summary="One loaded model",
    responses=described((404, "unknown model"), (422, "invalid parameter")),
)
async def model(
    request: Request,
    name: str,
    version: Annotated[int | None, Query(ge=1, description=VERSION)] = None,
) -> Model:
    return describe(find_pipeline(request, name, version))


def describe(pipeline: Pipeline) -> Model:
    engine = pipeline.engine
    placement = engine.placement
    return Model(
        **engine.card.model_dump(),
        version=engine.version,
        digest=engine.digest,
        provider=engine.provider,
        memory_bytes=engine.memory_bytes,
        confidence=engine.has_confidence,
        buckets=[Size(width=bucket.width, height=bucket.height) for bucket in engine.buckets],
        placement=None
        if placement is None
        else Placed(
            sessions=placement.sessions,
            threads=placement.threads,
            alone_threads=placement.alone_threads,
            max_batch=placement.max_batch,
        ),
    )


@router.head("/healthz", response_model=None, include_in_schema=False)
@router.get(
    "/healthz",
    tags=["operation"],
    summary="Whether the process is alive",
    response_model=Health,
    responses=described((503, "the engine has stopped; restart")),
)
async def healthz(request: Request) -> Response | Health:
    models = models_of(request)
    if models.alive:
        return Health(status="alive", provider=models.provider)
    why = f": {models.trouble}" if models.trouble else ""
    detail = f"the model no longer runs on {models.provider}{why}; restart the service"
    return problem(503, "broken", detail)


@router.head("/readyz", response_model=None, include_in_schema=False)
@router.get(
    "/readyz",
    tags=["operation"],
    summary="Whether pictures should be sent here",
    response_model=Health,
    responses=described((503, "warming up or shutting down")),
)
async def readyz(request: Request) -> Response | Health:
    models, lifecycle = models_of(request), request.app.state.lifecycle
    state = models.state
    if state == "ready":
        if lifecycle.stage == "serving":
            return Health(status="ready", provider=models.provider)
        state = "shutting down"
    reason, sentence = NOT_READY[state]
    return problem(503, reason, sentence, retry_after(1))


@metrics_router.get(
    "/metrics", tags=["operation"], summary="Prometheus metrics", response_class=PlainTextResponse
)
async def metrics(request: Request) -> Response:
    collected: Metrics = request.app.state.metrics
    # Off the event loop, which a driver that hangs must not stop.
    text = await asyncio.to_thread(collected.render)
    return Response(text, media_type=CONTENT_TYPE_LATEST)
