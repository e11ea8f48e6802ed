"""Errors as RFC 9457 problem JSON: one shape for all, and one table from error to status."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.types import Receive, Scope, Send

from service import errors
from service.errors import Reason
from service.http.parameters import explain
from service.http.record import CLIENT_CLOSED, record_of

STATUS: dict[type[errors.RequestError], int] = {
    errors.MalformedRequest: 400,
    errors.Unauthorised: 401,
    errors.UnknownModel: 404,
    errors.NotAcceptable: 406,
    errors.NotLoaded: 422,
    errors.SlowUpload: 408,
    errors.TooManyBytes: 413,
    errors.TooManyPixels: 413,
    errors.TooManyWindows: 413,
    errors.TooManyPictures: 413,
    errors.UnsupportedImage: 415,
    errors.UndecodableImage: 422,
    errors.InvalidParameter: 422,
    errors.EngineFailed: 500,
    errors.Unavailable: 503,
    errors.DeadlinePassed: 504,
}
BY_STATUS: dict[int, Reason] = {
    400: "malformed_request",
    401: "unauthorised",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_many_bytes",
}
"""Why the framework itself refused a request."""


IN_V2 = {422: 400}
"""Statuses that Triton does not give."""
OF_BODY = ("content-length", "content-type")


def speaks_v2(scope: Scope) -> bool:
    """Whether a request is one of the Open Inference Protocol."""
    path: str = scope["path"].removeprefix(scope.get("root_path", ""))
    return path == "/v2" or path.startswith("/v2/")


def reason_of(status: int) -> Reason:
    """Why, as far as its status tells."""
    return BY_STATUS.get(status, "malformed_request")


class Problem(BaseModel):
    """An error, as RFC 9457 describes it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    reason: Reason
    """The same in one word, for machines: `deeplab_requests_total` counts by it."""


def described(*statuses: tuple[int, str]) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of the problems that a call can answer with."""
    content = {"application/problem+json": {"schema": Problem.model_json_schema()}}
    return {status: {"description": text, "content": content} for status, text in statuses}


class ProblemResponse(JSONResponse):
    """A problem on its way out; it leaves its reason in the request's record."""

    media_type = "application/problem+json"

    def __init__(self, content: Problem, headers: dict[str, str] | None = None) -> None:
        super().__init__(content.model_dump(), content.status, headers)
        self.reason = content.reason
        self.detail = content.detail

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record_of(HTTPConnection(scope)).reason = self.reason
        if speaks_v2(scope):
            await self._as_protocol_says()(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def _as_protocol_says(self) -> Response:
        """The same in the form of the Open Inference Protocol, with Triton's statuses."""
        status = IN_V2.get(self.status_code, self.status_code)
        headers = {name: value for name, value in self.headers.items() if name not in OF_BODY}
        return JSONResponse({"error": self.detail}, status, headers)


def problem(
    status: int, reason: Reason, detail: str, headers: dict[str, str] | None = None
) -> Response:
    """The answer for an error."""
    return ProblemResponse(told(status, reason, detail), headers)


def told(status: int, reason: Reason, detail: str) -> Problem:
    """What is said of an error."""
    # What others have sent may hold half of a pair of surrogates, which UTF-8 cannot tell.
    detail = detail.encode(errors="replace").decode()
    return Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, reason=reason)


def retry_after(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(seconds)))}


def install(app: FastAPI) -> None:
    """Make every error that is expected leave the application as a problem."""

    @app.exception_handler(errors.RequestError)
    async def request_error(request: Request, error: errors.RequestError) -> Response:
        headers = retry_after(error.retry_after) if isinstance(error, errors.Unavailable) else None
        if isinstance(error, errors.Unauthorised):
            headers = {"WWW-Authenticate": "Bearer"}
        return problem(STATUS[type(error)], error.reason, str(error), headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        detail = "; ".join(explain(item, request) for item in error.errors())
        return problem(422, "invalid_parameter", detail)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers) if error.headers else None
        status = error.status_code
        return problem(status, reason_of(status), _detail(request, error), headers)

    @app.exception_handler(ClientDisconnect)
    async def hung_up(request: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=CLIENT_CLOSED)


def _detail(request: Request, error: HTTPException) -> str:
    closed = not request.app.state.controllable
    if error.status_code == 404 and closed and request.url.path.startswith("/v2/repository/"):
        return "models are loaded and unloaded by calls with --model-control explicit only"
    if error.status_code == 404:
        hint = "; /docs lists what there is" if request.app.openapi_url else ""
        return f"there is nothing at {request.url.path[:80]}{hint}"
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "other methods")
        return f"{request.url.path[:80]} does not answer {request.method}, but {allowed}"
    return error.detail
