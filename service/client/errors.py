"""What a call can end with other than an answer."""

from __future__ import annotations

import json

import httpx

QUOTED = 200
"""Characters of an answer that is no problem JSON, to tell who sent it."""


class ClientError(Exception):
    """A call that brought no answer."""


class NoAnswer(ClientError):
    """The service could not be reached, or did not answer in time; `__cause__` says how."""


class ProblemError(ClientError):
    """The service, or something before it, refused.

    Attributes:
        status: the HTTP status.
        reason: why, in one word for programs; "" if it was not the service that answered.
        detail: why, in a sentence.
        request_id: what the server's log calls the request; None if it was not told.
        retry_after: seconds after which it may be tried again; None if it was not told.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        detail: str,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        told = f"{status} {reason}".strip()
        super().__init__(f"{told}: {detail}" + (f" (request {request_id})" if request_id else ""))
        self.status = status
        self.reason = reason
        self.detail = detail
        self.request_id = request_id
        self.retry_after = retry_after


def problem_of(response: httpx.Response) -> ProblemError:
    """What an answer that is none says."""
    try:
        told = json.loads(response.content)
        reason, detail = str(told["reason"]), str(told["detail"])
    except (ValueError, TypeError, LookupError):
        reason, detail = "", response.text[:QUOTED] or response.reason_phrase
    headers = response.headers
    return ProblemError(
        response.status_code,
        reason,
        detail,
        headers.get("x-request-id"),
        _seconds(headers.get("retry-after", "")),
    )


def _seconds(text: str) -> float | None:
    """A `Retry-After` in seconds; this service never sends a date."""
    return float(text) if text.isdecimal() else None
