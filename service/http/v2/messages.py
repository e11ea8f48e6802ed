"""What a call for inference says: the JSON part of its body."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from service.errors import InvalidParameter

IMAGE, ENCODED = "image", "encoded"
MASK, PNG = "mask", "png"
MAX_BATCH = 64
"""Pictures in one request at most; all of them wait in the house at the same time."""
MAX_MARKS = 10_000
"""Brackets, braces and quotes that a request of that many pictures does not come near."""
NUMBERS = re.compile(rb'("data"\s*:\s*)\[([\[\]\d\s,]*)\]')
"""The elements of a tensor of whole numbers. A quote inside a string is escaped, so that what
looks like the name of a member is one."""

Parameters = dict[str, Any]


class InputTensor(BaseModel):
    name: str
    shape: Annotated[list[Annotated[int, Field(ge=0)]], Field(max_length=8)]
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
        return given / 1e6


def parse(text: bytes) -> InferRequest:
    """The request in some JSON.

    Arrays in arrays of numbers become one, as their order is the same; that leaves few objects
    to make of a large text.

    Raises:
        InvalidParameter: it is not JSON, not such a request, or made to cost time.
    """
    flat = NUMBERS.sub(lambda found: found[1] + b"[%b]" % found[2].translate(None, b"[]"), text)
    if sum(map(flat.count, (b"[", b"{", b'"'))) > MAX_MARKS:
        raise InvalidParameter(
            "the request's JSON has too many parts: send tensors as flat arrays or binary data"
        )
    try:
        return InferRequest.model_validate_json(flat)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))[:80] or "the request's JSON"
        raise InvalidParameter(f"{where}: {first['msg']}") from error
