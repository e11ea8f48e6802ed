"""What both clients are made of: where the server is, with which key, how patiently."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import httpx

from service.client.asks import Ask
from service.client.attempts import Attempts

Http = TypeVar("Http", httpx.Client, httpx.AsyncClient)

TIMEOUT = 60.0
RETRIES = 8


class Connection(Generic[Http]):
    """Keeps its connections open until it is closed."""

    _kind: type[Http]

    def __init__(
        self,
        url: str,
        key: str | None = None,
        timeout: float = TIMEOUT,
        retries: int = RETRIES,
    ) -> None:
        """
        Args:
            url: as http://127.0.0.1:8000.
            key: an API key, where the service asks for one.
            timeout: seconds for a call, with all its tries and the pauses between them.
            retries: tries after the first, made only if the server is busy (503), after the pause
                that it asks for, if it could not be reached, and at most twice if a proxy before
                it answers 500, 502 or 504 in its place.

        Raises:
            ValueError: this is no address of a service, or no key.
        """
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"{url!r} is no address of a service; give one as http://HOST:8000")
        if key and not (key.isascii() and key.isprintable() and key == key.strip()):
            raise ValueError(
                "the key is not one line of plain text; one read from a file needs .strip()"
            )
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http: Http = self._kind(base_url=url, headers=headers)
        self._url = url.rstrip("/")
        self._timeout = timeout
        self._retries = retries

    def _begin(self, ask: Ask[Any]) -> Attempts:
        return Attempts(ask, self._url, self._timeout, self._retries)
