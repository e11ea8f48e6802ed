"""The calls that Label Studio makes to a machine learning backend."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field, ValidationError

from service.errors import InvalidParameter
from service.http.info import healthz
from service.http.label_studio.config import MAX_LENGTH, read_target
from service.http.label_studio.fetch import Pictures
from service.http.label_studio.predict import parse, predict, version_of
from service.http.lookup import find_pipeline
from service.http.masks import Timeout
from service.http.serve import walk
from service.http.upload import read_aside, read_body
from service.visit import Visit

log = logging.getLogger(__name__)

# Label Studio knows the protocol; the API's description is of what people call.
health_router = APIRouter(include_in_schema=False)
router = APIRouter(include_in_schema=False)
MAX_SETUP = 2 * MAX_LENGTH
OF_MODEL = "/label-studio/{name}"
"""Before the calls for one of several models: Label Studio keeps the path of a backend's URL."""


class SetupRequest(BaseModel):
    """What Label Studio says when it is connected; its host name and token are not used."""

    schema_: str | None = Field(None, alias="schema")


@health_router.get("/health")
@health_router.get(f"{OF_MODEL}/health")
async def health(request: Request, name: str | None = None) -> Any:
    if name:
        find_pipeline(request, name)
    answer = await healthz(request)
    return answer if isinstance(answer, Response) else {"status": "UP"}


@router.post("/setup")
@router.post(f"{OF_MODEL}/setup")
async def setup(request: Request, name: str | None = None) -> dict[str, str]:
    """Connect a project; its configuration may still become one that fits."""
    pipeline = find_pipeline(request, name)
    body = await read_aside(request, MAX_SETUP)
    try:
        schema = SetupRequest.model_validate_json(body).schema_
    except ValidationError as error:
        raise InvalidParameter(f"the request: {error.errors()[0]['msg']}") from error
    try:
        await asyncio.to_thread(read_target, schema or "", pipeline.engine.card.labels)
    except InvalidParameter as error:
        log.warning("a project of Label Studio will get no predictions: %s", error)
    return {"model_version": version_of(pipeline)}


@router.post("/predict")
@router.post(f"{OF_MODEL}/predict")
async def predictions(
    request: Request, name: str | None = None, timeout: Timeout = None
) -> Response:
    pipeline = find_pipeline(request, name)

    async def work(body: bytes, visit: Visit) -> bytes:
        asked = await pipeline.workshop.work(visit, "decode", lambda: parse(body))
        async with Pictures(request.app.state.settings) as pictures:
            # Label Studio names no time, and sends more tasks than one request has time for.
            own = visit.timeout if timeout is None else None
            return await predict(pipeline, asked, pictures, visit, own)

    answer, timing = await walk(request, pipeline, timeout, work, read_body)
    return Response(answer, media_type="application/json", headers=timing)
