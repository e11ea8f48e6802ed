"""The calls below /v2."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from service.http.info import healthz, readyz
from service.http.lookup import find_pipeline, models_of
from service.http.masks import Timeout
from service.http.problems import problem, retry_after
from service.http.v2 import describe
from service.http.v2.infer import infer
from service.line import CLOSED

# The protocol has a description of its own; that of the service's API is of /v1.
health_router = APIRouter(prefix="/v2/health", include_in_schema=False)
router = APIRouter(prefix="/v2", include_in_schema=False)
Version = Annotated[int, Path(ge=1)] | None
MODEL = "/models/{name}"
VERSIONED = f"{MODEL}/versions/{{version}}"


@health_router.get("/live")
async def live(request: Request) -> Any:
    answer = await healthz(request)
    return answer if isinstance(answer, Response) else {"live": True}


@health_router.get("/ready")
async def ready(request: Request) -> Any:
    answer = await readyz(request)
    return answer if isinstance(answer, Response) else {"ready": True}


@router.get("")
async def server_metadata(request: Request) -> dict[str, Any]:
    return describe.server_metadata(request.app.state.controllable)


@router.get(MODEL)
@router.get(VERSIONED)
async def model_metadata(request: Request, name: str, version: Version = None) -> dict[str, Any]:
    engine = find_pipeline(request, name, version).engine
    loaded = models_of(request).versions(name)
    return describe.model_metadata(engine, [each.engine.version for each in loaded])


@router.get(f"{MODEL}/config")
@router.get(f"{VERSIONED}/config")
async def model_config(request: Request, name: str, version: Version = None) -> dict[str, Any]:
    return describe.model_config(find_pipeline(request, name, version).engine)


@router.get(f"{MODEL}/ready")
@router.get(f"{VERSIONED}/ready")
async def model_ready(request: Request, name: str, version: Version = None) -> Any:
    engine = find_pipeline(request, name, version).engine
    if engine.ready:
        return {"name": engine.card.name, "ready": True}
    return problem(503, CLOSED[engine.state], f"the model is {engine.state}", retry_after(1))


@router.post(f"{MODEL}/infer")
@router.post(f"{VERSIONED}/infer")
async def model_infer(
    request: Request, name: str, version: Version = None, timeout: Timeout = None
) -> Response:
    return await infer(request, find_pipeline(request, name, version), timeout)
