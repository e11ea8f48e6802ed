"""What a call for inference says: the JSON part of its body."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from service.errors import InvalidParameter
from service.http.v2.numbers import cut_numbers

IMAGE, ENCODED = "image", "encoded"
MASK, PNG, CONFIDENCE = "mask", "png", "confidence"
MAX_MARKS = 10_000
"""Brackets, braces, quotes and commas in the JSON of a request; one of use has fewer."""

MAX_SIDE = 2**31 - 1
LONGEST = 10**12
"""Microseconds; whoever gives itself more has no deadline of its own."""

Parameters = dict[str, Any]


class InputTensor(BaseModel):
    name: str
    shape: Annotated[list[Annotated[int, Field(ge=0, le=MAX_SIDE)]], Field(max_length=8)]
    datatype: str
    parameters: Parameters = {}
    data: list[Any] | None = None
    """The elements in row-major order, unless they follow as binary data."""


class RequestedOutput(BaseModel):
    name: str
    parameters: Parameters = {}


class InferRequest(BaseModel):
    """What to infer from what; other members have no meaning here."""

    id: str | None = None
    parameters: Parameters = {}
    inputs: Annotated[list[InputTensor], Field(min_length=1)]
    outputs: list[RequestedOutput] = []

    @property
    def timeout(self) -> float | None:
        """Seconds in which the answer is of use.

        Raises:
            InvalidParameter: it is not a positive number of microseconds.
        """
        given = self.parameters.get("timeout")
        if given is None or given == 0:
            return None
        if type(given) is not int or given < 0:
            raise InvalidParameter("parameter timeout: it is a whole number of microseconds")
        return min(given, LONGEST) / 1e6


def parse(text: bytes) -> tuple[InferRequest, bytes | None]:
    """The request in some JSON.

    Returns:
        The request, and the elements of its tensor, if they are whole numbers: digits with commas
        between, which are not in its `data`.

    Raises:
        InvalidParameter: it is not JSON, not such a request, or made to cost time.
    """
    text, numbers = cut_numbers(text)
    if sum(map(text.count, (b"[", b"{", b'"', b","))) > MAX_MARKS:
        raise InvalidParameter(
            "the request's JSON has too many parts: a picture is one tensor of whole numbers from "
            "0 to 255, or binary data"
        )
    try:
        return InferRequest.model_validate_json(text), numbers
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))[:80] or "the request's JSON"
        raise InvalidParameter(f"{where}: {first['msg']}") from error
