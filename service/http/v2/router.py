"""The calls below /v2."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from service.errors import UnknownModel
from service.house import CLOSED
from service.http.info import healthz, readyz
from service.http.lookup import find_pipeline
from service.http.masks import Timeout
from service.http.problems import problem, retry_after
from service.http.v2 import describe
from service.http.v2.infer import infer
from service.pipeline import Pipeline

# The protocol has a description of its own; that of the service's API is of /v1.
health_router = APIRouter(prefix="/v2/health", include_in_schema=False)
router = APIRouter(prefix="/v2", include_in_schema=False)
MODEL = "/models/{name}"
VERSION = f"{MODEL}/versions/{{version}}"


@health_router.get("/live")
async def live(request: Request) -> Any:
    answer = await healthz(request)
    return answer if isinstance(answer, Response) else {"live": True}


@health_router.get("/ready")
async def ready(request: Request) -> Any:
    answer = await readyz(request)
    return answer if isinstance(answer, Response) else {"ready": True}


@router.get("")
async def server_metadata() -> dict[str, Any]:
    return describe.server_metadata()


@router.get(MODEL)
@router.get(VERSION)
async def model_metadata(request: Request, name: str, version: str | None = None) -> dict[str, Any]:
    return describe.model_metadata(find(request, name, version).engine)


@router.get(f"{MODEL}/config")
@router.get(f"{VERSION}/config")
async def model_config(request: Request, name: str, version: str | None = None) -> dict[str, Any]:
    return describe.model_config(find(request, name, version).engine)


@router.get(f"{MODEL}/ready")
@router.get(f"{VERSION}/ready")
async def model_ready(request: Request, name: str, version: str | None = None) -> Any:
    engine = find(request, name, version).engine
    if engine.ready:
        return {"name": engine.card.name, "ready": True}
    return problem(503, CLOSED[engine.state], f"the model is {engine.state}", retry_after(1))


@router.post(f"{MODEL}/infer")
@router.post(f"{VERSION}/infer")
async def model_infer(
    request: Request, name: str, version: str | None = None, timeout: Timeout = None
) -> Response:
    return await infer(request, find(request, name, version), timeout)


def find(request: Request, name: str, version: str | None) -> Pipeline:
    pipeline = find_pipeline(request, name)
    if version not in (None, pipeline.engine.version):
        raise UnknownModel(f"there is no version {version!r}")
    return pipeline
