"""What is known of a request while it is here."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from time import perf_counter

from opentelemetry.trace import format_trace_id, get_current_span
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import Scope

from service.errors import Reason
from service.visit import Visit

CLIENT_CLOSED = 499
"""What a request is counted as when its client hung up before the answer."""
REQUEST_ID = "X-Request-Id"
PROBES = ("/healthz", "/readyz", "/metrics", "/health", "/v2/health/live", "/v2/health/ready")
"""Routes that machines call all day."""
UNMATCHED = "unmatched"
"""The route of what is none of the application's."""
_safe_id = re.compile(r"[A-Za-z0-9._-]{1,128}")
_traceparent = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")


@dataclass
class Record:
    """One request."""

    id: str
    trace: str | None
    """Trace id of the caller's `traceparent`, or of a trace that begins here."""
    started: float = field(default_factory=perf_counter)
    status: int = CLIENT_CLOSED
    reason: Reason = "hung_up"
    """Why there was no answer; empty once there is one."""
    model: str | None = None
    """Name of the model that it means."""
    received: int = 0
    """Bytes of the body."""
    sent: int = 0
    """Bytes of the answer's body."""
    visit: Visit | None = None
    """Its way through the house, if it brought a picture."""


def begin(scope: Scope) -> Record:
    """A new record, also found by `record_of`; the caller's id is taken over if it is safe."""
    headers = Headers(scope=scope)
    given = headers.get(REQUEST_ID, "")
    record = Record(given if _safe_id.fullmatch(given) else new_id(), _trace(headers))
    scope.setdefault("state", {})["record"] = record
    return record


def new_id() -> str:
    """An id for a request that brought none."""
    return secrets.token_hex(8)


def record_of(connection: HTTPConnection) -> Record:
    """The record of the request at hand."""
    record: Record = connection.state.record
    return record


def _trace(headers: Headers) -> str | None:
    here = get_current_span().get_span_context()
    if here.is_valid:
        return format_trace_id(here.trace_id)
    sent = _traceparent.fullmatch(headers.get("traceparent", "").strip())
    return sent and sent[1]
