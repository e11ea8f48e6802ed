"""What lies around the application: beginning again, clients that have gone, the log."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from service.cluster.again import Again
from service.cluster.edge import Edge
from service.http.problems import problem
from service.http.record import begin
from service.logs import formatter

Application = Callable[[Scope, Receive, Send], Awaitable[None]]


async def call(app: Application, body: list[Message]) -> list[Message]:
    """What an application sends to a request."""
    scope: Scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    begin(scope)
    sent: list[Message] = []
    left = list(body)

    async def receive() -> Message:
        return left.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


def test_a_request_begins_again_when_its_model_was_replaced() -> None:
    bodies, timeouts = [], []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        parts = [(await receive())["body"] for _ in range(2)]
        bodies.append(b"".join(parts))
        timeouts.append(dict(scope["headers"]).get(b"x-request-timeout"))
        await asyncio.sleep(0.01)
        changed = len(bodies) == 1
        answer = problem(503, "model_changed", "it was") if changed else Response(b"a mask")
        await answer(scope, receive, send)

    body: list[Message] = [
        {"type": "http.request", "body": b"half a ", "more_body": True},
        {"type": "http.request", "body": b"picture", "more_body": False},
    ]
    start, *_ = asyncio.run(call(Again(application, longest=30), body))
    assert start["status"] == 200
    assert bodies == [b"half a picture"] * 2
    assert timeouts[0] is None
    assert timeouts[1] is not None
    assert 0 < float(timeouts[1]) < 30


def test_a_model_that_changes_all_the_time_is_told_to_the_client() -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await problem(503, "model_changed", "it was")(scope, receive, send)

    start, *_ = asyncio.run(call(Again(application, longest=30), []))
    assert start["status"] == 503


def test_a_client_that_has_gone_is_told_as_such() -> None:
    heard: list[str] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        heard.append((await receive())["type"])

    async def never() -> Message:
        await asyncio.sleep(60)
        raise AssertionError

    async def leave() -> None:
        running = asyncio.create_task(
            Edge(application)({"type": "http", "headers": []}, never, cast(Any, None))
        )
        await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(leave())
    assert heard == ["http.disconnect"]


def test_an_application_that_does_not_listen_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.cluster.edge.LEAVING", 0.01)
    begun, ended = asyncio.Event(), asyncio.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async def leave() -> None:
        edge = Edge(application)({"type": "http"}, cast(Any, None), cast(Any, None))
        running = asyncio.create_task(edge)
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await asyncio.wait_for(ended.wait(), 20)

    asyncio.run(leave())


def test_lines_of_the_log_have_nothing_that_ray_notes_for_itself() -> None:
    record = logging.makeLogRecord({"msg": "ready", "_ray_timestamp_ns": 1, "model": "streets"})
    line = json.loads(formatter("json", colours=False).format(record))
    assert line["model"] == "streets"
    assert not [name for name in line if name.startswith("_")]
