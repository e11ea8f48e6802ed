"""What can go wrong with a request or a model, without a word of HTTP.

`service.http.problems` gives each request error its status.
"""

from __future__ import annotations


class RequestError(Exception):
    """A request that cannot be answered; the message is for its sender."""


class MalformedRequest(RequestError):
    """No picture where one should be."""


class Unauthorised(RequestError):
    """No API key, or none that is accepted."""

    reason = "unauthorised"


class UnknownModel(RequestError):
    """A model that is not loaded."""


class TooLarge(RequestError):
    """More bytes or pixels than the limit."""


class UnsupportedImage(RequestError):
    """Not one of the accepted image formats."""


class UndecodableImage(RequestError):
    """An accepted format, but broken."""


class InvalidParameter(RequestError):
    """A parameter without a meaning for this model."""


class Unavailable(RequestError):
    """No capacity now.

    Attributes:
        retry_after: seconds after which there should be.
    """

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DeadlinePassed(RequestError):
    """The time that the request had is over."""


class EngineFailed(RequestError):
    """The model failed on this picture; the log says how."""


class StartError(Exception):
    """The service cannot start: the message says why and what to do."""


class ContractError(StartError):
    """An ONNX file that breaks the contract."""
