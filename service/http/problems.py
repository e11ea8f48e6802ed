"""Errors as RFC 9457 problem JSON: one shape for all, and one table from error to status."""

from __future__ import annotations

import logging
import math
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from service import errors
from service.http.headers import EVERYWHERE

log = logging.getLogger(__name__)

STATUS: dict[type[errors.RequestError], int] = {
    errors.MalformedRequest: 400,
    errors.Unauthorised: 401,
    errors.UnknownModel: 404,
    errors.TooLarge: 413,
    errors.UnsupportedImage: 415,
    errors.UndecodableImage: 422,
    errors.InvalidParameter: 422,
    errors.EngineFailed: 500,
    errors.Unavailable: 503,
    errors.DeadlinePassed: 504,
}
CLIENT_CLOSED = 499
"""What a request is counted as when its client hung up before the answer."""


class Problem(BaseModel):
    """An error, as RFC 9457 describes it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


def described(*statuses: tuple[int, str]) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of the problems that a call can answer with."""
    content = {"application/problem+json": {"schema": Problem.model_json_schema()}}
    return {status: {"description": text, "content": content} for status, text in statuses}


class ProblemResponse(JSONResponse):
    media_type = "application/problem+json"


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """The answer for an error."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail)
    return ProblemResponse(body.model_dump(), status, headers)


def retry_after(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(seconds)))}


def install(app: FastAPI) -> None:
    """Make every error of the application leave it as a problem."""

    @app.exception_handler(errors.RequestError)
    async def request_error(request: Request, error: errors.RequestError) -> Response:
        headers = retry_after(error.retry_after) if isinstance(error, errors.Unavailable) else None
        if isinstance(error, errors.Unauthorised):
            headers = {"WWW-Authenticate": "Bearer"}
        return problem(STATUS[type(error)], str(error), headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return problem(422, "; ".join(_invalid(item) for item in error.errors()))

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers) if error.headers else None
        return problem(error.status_code, _detail(request, error), headers)

    @app.exception_handler(ClientDisconnect)
    async def hung_up(request: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=CLIENT_CLOSED)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        # uvicorn closes the connection of a request that raised.
        detail = "the service failed on this request; its log says how"
        # This is made outside of all middleware.
        return problem(500, detail, {"Connection": "close", **EVERYWHERE})


def _invalid(item: dict[str, Any]) -> str:
    name = str(item["loc"][-1])[:80]
    if item["type"] == "extra_forbidden":
        return f"{name}: there is no such parameter"
    return f"{name}: {item['msg']}"


def _detail(request: Request, error: HTTPException) -> str:
    if error.status_code == 404:
        hint = "; /docs lists what there is" if request.app.openapi_url else ""
        return f"there is nothing at {request.url.path[:80]}{hint}"
    if error.status_code == 405:
        return f"{request.url.path[:80]} does not answer {request.method}"
    return error.detail
