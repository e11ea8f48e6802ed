"""Both clients, called in the same way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from service.client import AsyncClient, Client

Connect = Callable[..., AbstractContextManager[Client]]


class Waiting:
    """An asynchronous client whose calls wait for their answers, so that one test fits both."""

    def __init__(self, client: AsyncClient, runner: asyncio.Runner) -> None:
        self._client, self._runner = client, runner

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            return self._runner.run(getattr(self._client, name)(*arguments, **options))

        return call


@contextmanager
def waiting(url: str, **options: Any) -> Iterator[Any]:
    with asyncio.Runner() as runner:
        client = AsyncClient(url, **options)
        runner.run(client.__aenter__())
        try:
            yield Waiting(client, runner)
        finally:
            runner.run(client.__aexit__())


@pytest.fixture(params=[Client, waiting], ids=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Connect:
    """Makes a client for a URL."""
    made: Connect = request.param
    return made
