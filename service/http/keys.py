"""The lock on the calls: an API key as `Authorization: Bearer` or `X-API-Key`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from service.errors import Unauthorised
from service.keys import Keys

# The application tells what is missing by itself, once for both.
BEARER = HTTPBearer(auto_error=False, description="a key as Authorization: Bearer KEY")
HEADER = APIKeyHeader(name="X-API-Key", auto_error=False, description="a key as it is")


def require_key(keys: Keys) -> Callable[..., Awaitable[None]]:
    """A dependency that lets nobody in without a key.

    It runs before any byte of a body is read.
    """

    async def check(
        bearer: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)],
        header: Annotated[str | None, Security(HEADER)],
    ) -> None:
        given = [key for key in (bearer and bearer.credentials, header) if key]
        if not given:
            raise Unauthorised(
                "this call needs an API key: send it as Authorization: Bearer KEY or X-API-Key: KEY"
            )
        if not any(keys.accept(key) for key in given):
            raise Unauthorised("the API key is not one of those that are accepted here")

    return check
