"""What can go wrong with a request or a model, without a word of HTTP.

`service.http.problems` gives each request error its status.
"""

from __future__ import annotations

from typing import Literal, get_args

Shortage = Literal[
    "warming_up",
    "shutting_down",
    "broken",
    "no_model",
    "queue_full",
    "memory_full",
    "uploads_full",
    "model_changed",
    "no_time",
]
"""Why there is no capacity."""
Reason = Literal[
    Shortage,
    "",
    "malformed_request",
    "no_picture",
    "unauthorised",
    "not_found",
    "method_not_allowed",
    "not_acceptable",
    "unknown_model",
    "not_loaded",
    "slow_upload",
    "too_many_bytes",
    "too_many_pixels",
    "too_many_windows",
    "too_many_pictures",
    "unsupported_format",
    "broken_picture",
    "invalid_parameter",
    "hung_up",
    "internal_error",
    "model_failed",
    "deadline",
]
"""How a request ended, in one word for machines; "" is with an answer."""
REASONS: tuple[Reason, ...] = get_args(Reason)


class RequestError(Exception):
    """A request that cannot be answered; the message is for its sender."""

    reason: Reason


class MalformedRequest(RequestError):
    """No picture where one should be."""

    reason = "no_picture"


class Unauthorised(RequestError):
    """No API key, or none that is accepted."""

    reason = "unauthorised"


class UnknownModel(RequestError):
    """A model that is not loaded."""

    reason = "unknown_model"


class NotAcceptable(RequestError):
    """No answer of a kind that its sender takes."""

    reason = "not_acceptable"


class NotLoaded(RequestError):
    """A model file that cannot be loaded."""

    reason = "not_loaded"


class SlowUpload(RequestError):
    """An upload that takes too long."""

    reason = "slow_upload"


class TooManyBytes(RequestError):
    """More bytes than the limit."""

    reason = "too_many_bytes"


class TooManyPixels(RequestError):
    """More pixels than the limit, or more work for them."""

    reason = "too_many_pixels"


class TooManyWindows(RequestError):
    """More windows of a picture than the limit, or than can be computed in its time."""

    reason = "too_many_windows"


class TooManyPictures(RequestError):
    """More pictures in one request than the limit."""

    reason = "too_many_pictures"


class UnsupportedImage(RequestError):
    """Not one of the accepted image formats."""

    reason = "unsupported_format"


class UndecodableImage(RequestError):
    """An accepted format, but broken."""

    reason = "broken_picture"


class InvalidParameter(RequestError):
    """A parameter without a meaning for this model."""

    reason = "invalid_parameter"


class Unavailable(RequestError):
    """No capacity now.

    Attributes:
        retry_after: seconds after which there should be.
    """

    def __init__(self, message: str, reason: Shortage, retry_after: float) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after = retry_after


class DeadlinePassed(RequestError):
    """The time that the request had is over."""

    reason = "deadline"


class EngineFailed(RequestError):
    """The model failed on this picture; the log says how."""

    reason = "model_failed"


class StartError(Exception):
    """The service cannot start: the message says why and what to do."""


class ContractError(StartError):
    """An ONNX file that breaks the contract."""
