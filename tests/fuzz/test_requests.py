"""Whatever is sent as a request: a real server answers or hangs up, and goes on serving."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from contextlib import suppress

import httpx
import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect
from starlette.types import Message

from service.errors import NotAcceptable, RequestError
from service.http.upload import read_upload
from service.images.encode import OVERLAY_TYPES
from service.recipes.media_types import choose_type
from tests.e2e.conftest import Server
from tests.e2e.wire import everything
from tests.fuzz import budget, hostile, memory, wires

pytestmark = pytest.mark.xdist_group("server")

LIMIT = 5000
WARM_UP = 60
GROWTH = 64 * memory.MB
"""What a server may take more after its warm-up; its threads have arenas of their own."""


@pytest.mark.timeout(budget.PATIENCE)
def test_no_request_breaks_the_server(server: Server, client: httpx.Client) -> None:
    answers: Counter[str] = Counter()
    for index in range(WARM_UP):
        client.post("/v1/overlay", content=list(hostile.seeds().values())[index % 20])
    before = memory.resident(server.process.pid)

    @budget.inputs(300)
    @given(wires.requests())
    def fuzz(data: bytes) -> None:
        received = everything(server.url, data)
        statuses = re.findall(rb"^HTTP/1\.1 (\d{3})", received, re.MULTILINE)
        assert received == b"" or received.startswith(b"HTTP/1.1 ")
        assert b"500" not in statuses
        answers.update(status.decode() for status in statuses or [b"none"])

    fuzz()
    print(f"requests: {answers.total()} answers: {dict(answers.most_common())}")  # noqa: T201
    assert client.get("/readyz").status_code == 200
    assert {"400", "404", "405", "415", "422"} <= set(answers)
    assert memory.resident(server.process.pid) - before < GROWTH
    assert "Traceback" not in "".join(server.output)


# A form that breaks off leaves a buffer in memory to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.timeout(budget.PATIENCE)
@budget.inputs(300)
@given(
    st.one_of(wires.forms(), wires.bodies()),
    st.sampled_from(["image/png", "", *wires.FORMS]),
    st.integers(1, 4000),
    st.booleans(),
)
def test_the_reader_finds_an_upload_or_says_why_not(
    body: bytes, kind: str, step: int, complete: bool
) -> None:
    """However the body is cut into messages, and if the client hangs up before its end."""
    cuts = range(0, len(body), step) or [0]
    messages: list[Message] = [
        {"type": "http.request", "body": body[at : at + step], "more_body": True} for at in cuts
    ]
    messages[-1]["more_body"] = not complete
    messages.append({"type": "http.disconnect"})
    held: list[int] = []

    async def receive() -> Message:
        return messages.pop(0)

    scope = {
        "type": "http",
        "method": "POST",
        "headers": [(b"content-type", kind.encode("latin-1"))],
    }
    try:
        upload = asyncio.run(read_upload(Request(scope, receive), LIMIT, held.append))
    except ClientDisconnect:
        assert not complete
        upload = b""
    except RequestError:
        upload = b""
    assert upload in body
    assert sum(held) <= LIMIT


@budget.inputs(300)
@given(st.one_of(wires.latin, st.lists(st.sampled_from(wires.VALUES)).map(",".join)))
def test_any_accept_header_gives_a_type_or_is_refused(accept: str) -> None:
    with suppress(NotAcceptable):
        assert choose_type(accept) in OVERLAY_TYPES
