"""What is loaded, whether it is well, and the metrics."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from service.house import CLOSED
from service.http.lookup import find_pipeline
from service.http.problems import described, problem, retry_after
from service.http.schemas import Health, Model, Models, Placed, Size
from service.metrics import Metrics
from service.pipeline import Pipeline

router = APIRouter()
models_router = APIRouter(prefix="/v1/models", tags=["models"])
metrics_router = APIRouter()


@models_router.get("", summary="All loaded models")
async def models(request: Request) -> Models:
    return Models(models=[describe(find_pipeline(request))])


@models_router.get(
    "/{name}",
    summary="One loaded model",
    responses=described((404, "unknown model"), (422, "invalid parameter")),
)
async def model(request: Request, name: str) -> Model:
    return describe(find_pipeline(request, name))


def describe(pipeline: Pipeline) -> Model:
    engine = pipeline.engine
    placement = engine.placement
    return Model(
        **engine.card.model_dump(),
        version=engine.version,
        provider=engine.provider,
        buckets=[Size(width=bucket.width, height=bucket.height) for bucket in engine.buckets],
        placement=None
        if placement is None
        else Placed(
            sessions=len(placement.runners),
            threads=placement.threads,
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
    engine = find_pipeline(request).engine
    if engine.alive:
        return Health(status="alive", provider=engine.provider)
    why = f": {engine.trouble}" if engine.trouble else ""
    detail = f"the model no longer runs on {engine.provider}{why}; restart the service"
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
    engine, lifecycle = find_pipeline(request).engine, request.app.state.lifecycle
    if engine.ready and lifecycle.stage == "serving":
        return Health(status="ready", provider=engine.provider)
    state = "shutting down" if engine.ready else engine.state
    return problem(503, CLOSED[state], f"the service is {state}", retry_after(1))


@metrics_router.get(
    "/metrics", tags=["operation"], summary="Prometheus metrics", response_class=PlainTextResponse
)
async def metrics(request: Request) -> Response:
    collected: Metrics = request.app.state.metrics
    # Off the event loop, which a driver that hangs must not stop.
    text = await asyncio.to_thread(collected.render)
    return Response(text, media_type=CONTENT_TYPE_LATEST)
