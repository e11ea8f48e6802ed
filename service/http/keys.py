"""The lock on the calls: an API key as `Authorization: Bearer` or `X-API-Key`.

Clients that know only user names and passwords, as Label Studio, send it as the password.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Request, Security
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
        request: Request,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)],
        header: Annotated[str | None, Security(HEADER)],
    ) -> None:
        sent = (bearer and bearer.credentials, header, _password(request))
        given = [key for key in sent if key]
        if not given:
            raise Unauthorised(
                "this call needs an API key: send it as Authorization: Bearer KEY or X-API-Key: KEY"
            )
        if not any(keys.accept(key) for key in given):
            raise Unauthorised("the API key is not one of those that are accepted here")

    return check


def _password(request: Request) -> str | None:
    """That of `Authorization: Basic`, if there is one."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except ValueError:
        return None
