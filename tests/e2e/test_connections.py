"""The bounds on connections: how many, how slow, how large a head, how long unread."""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import httpx
import pytest

from tests.e2e.conftest import FAST, Server, serving, wait_until
from tests.e2e.test_bad_requests import send
from tests.e2e.test_load import UNHURRIED, upload
from tests.e2e.test_operation import read_metrics, total
from tests.service import pictures
from tests.service.models import SOON

JPEG = pictures.encoded(pictures.photo(320, 240), "JPEG")
NOISE = pictures.encoded(pictures.noise(2000, 1500), "JPEG", quality=30)
"""Its overlay as PNG is larger than what the system buffers for a client."""


@pytest.fixture(scope="module")
def hasty() -> Iterator[Server]:
    """A server with little patience."""
    with serving(*FAST, "--head-timeout", "1", "--send-timeout", "1", *UNHURRIED) as running:
        yield running


@pytest.fixture(scope="module")
def pressing() -> Iterator[Server]:
    """A server that wants uploads to be quick."""
    with serving(*FAST, "--upload-timeout", "1") as running:
        yield running


@pytest.fixture(scope="module")
def narrow() -> Iterator[Server]:
    """A server with little room and much patience."""
    with serving(*FAST, "--max-connections", "20", "--max-uploads", "3", *UNHURRIED) as running:
        yield running


def receive_all(connection: socket.socket) -> bytes:
    """All that comes until the server closes the connection."""
    data = b""
    with suppress(ConnectionResetError):
        while part := connection.recv(65536):
            data += part
    return data


def answer(connection: socket.socket) -> tuple[int, dict[str, object]]:
    head, _, body = receive_all(connection).partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower()
    assert b"x-request-id: " in head.lower()
    return int(head.split()[1]), json.loads(body)


def dropped(running: Server, reason: str) -> float:
    with httpx.Client(base_url=running.url, timeout=SOON) as client:
        return read_metrics(client)[("deeplab_connections_dropped_total", reason)]


def test_a_connection_that_asks_for_nothing_is_closed(hasty: Server) -> None:
    before = dropped(hasty, "head_timeout")
    with send(hasty, b"") as connection:
        assert receive_all(connection) == b""
    assert dropped(hasty, "head_timeout") == before + 1


def test_a_head_that_does_not_end_is_a_problem(hasty: Server) -> None:
    with send(hasty, b"POST /v1/mask HTTP/1.1\r\nHost: x\r\n") as connection:
        status, problem = answer(connection)
    assert (status, problem["reason"]) == (408, "malformed_request")
    assert "within 1 s" in str(problem["detail"])


def test_a_second_head_that_does_not_end_is_no_better(hasty: Server) -> None:
    with send(hasty, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /hea") as connection:
        assert receive_all(connection).count(b"HTTP/1.1 ") == 2


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz HTTP/1.1\r\nX-Large: " + b"a" * 100_000,
        b"GET /healthz HTTP/1.1\r\nX-Large: " + b"a" * 40_000 + b"\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n" + b"X-Many: a\r\n" * 10_000,
        b"GET /" + b"a" * 200_000,
    ],
)
def test_a_head_is_bounded_in_bytes(hasty: Server, head: bytes) -> None:
    before = dropped(hasty, "head_too_large")
    with send(hasty, b"") as connection:
        with suppress(OSError):  # it hangs up before all is sent
            for start in range(0, len(head), 8192):
                connection.sendall(head[start : start + 8192])
        received = receive_all(connection)
    assert received == b"" or received.startswith(b"HTTP/1.1 431")
    assert dropped(hasty, "head_too_large") == before + 1


def test_a_head_within_the_bounds_is_served(hasty: Server) -> None:
    large = {"X-Large": "a" * 30_000}
    assert hasty.get("/healthz", headers=large).status_code == 200


def test_rubbish_is_a_problem_too(hasty: Server) -> None:
    before = dropped(hasty, "malformed")
    with send(hasty, b"\x16\x03\x01 this is TLS\r\n\r\n") as connection:
        status, problem = answer(connection)
    assert (status, problem["reason"]) == (400, "malformed_request")
    assert dropped(hasty, "malformed") == before + 1


def test_rubbish_after_a_request_does_not_spoil_its_answer(hasty: Server) -> None:
    with send(hasty, upload() + JPEG + b"rubbish\r\n\r\n") as connection:
        received = receive_all(connection)
    assert received.startswith(b"HTTP/1.1 200")
    assert received.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("path", ["/v1/mask", "/setup"])
def test_a_slow_upload_is_a_problem(pressing: Server, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n"
    with send(pressing, head.encode() + b"abc") as connection:
        status, problem = answer(connection)
    assert (status, problem["reason"]) == (408, "slow_upload")
    assert "limit of 1 s" in str(problem["detail"])


def test_the_rest_of_a_refused_upload_is_not_awaited_for_ever(pressing: Server) -> None:
    before = dropped(pressing, "body_not_wanted")
    with send(pressing, upload(10**9)) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")
        with suppress(ConnectionError):
            for _ in range(1000):
                connection.sendall(b"drip")
                time.sleep(0.02)
    assert dropped(pressing, "body_not_wanted") == before + 1


@pytest.mark.parametrize(
    ("head", "status", "rest"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"200", b"\r\n"),
        (
            b"POST /v1/mask HTTP/1.1\r\nHost: x\r\nContent-Length: 30000000\r\n\r\n",
            b"413",
            b"a" * 30_000_000,
        ),
    ],
    ids=["an empty line", "the end of a refused upload"],
)
def test_what_is_no_request_keeps_no_connection_open(
    hasty: Server, head: bytes, status: bytes, rest: bytes
) -> None:
    before = dropped(hasty, "head_timeout")
    with send(hasty, head) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 " + status)
        connection.sendall(rest)
        receive_all(connection)
    assert dropped(hasty, "head_timeout") == before + 1


def test_more_uploads_than_the_limit_are_refused(narrow: Server) -> None:
    with ExitStack() as connections:
        uploads = [connections.enter_context(send(narrow, upload() + JPEG[:50])) for _ in range(3)]
        assert narrow.get("/healthz").status_code == 200
        refused = narrow.post("/v1/mask", content=JPEG)
        assert (refused.status_code, refused.json()["reason"]) == (503, "uploads_full")
        assert int(refused.headers["retry-after"]) >= 1
        for guest in uploads:
            guest.sendall(JPEG[50:])
            assert guest.recv(1000).startswith(b"HTTP/1.1 200")
    assert narrow.post("/v1/mask", content=JPEG).status_code == 200


def test_uploads_that_stall_give_way_to_others() -> None:
    with (
        serving(*FAST, "--max-uploads", "3", *UNHURRIED) as running,
        ExitStack() as connections,
    ):
        faster = connections.enter_context(send(running, upload() + JPEG[:2000]))
        stalled = [connections.enter_context(send(running, upload() + JPEG[:50])) for _ in range(2)]

        def served() -> bool:
            answer = running.post("/v1/mask", content=JPEG)
            assert answer.status_code == 200 or answer.json()["reason"] == "uploads_full"
            return answer.status_code == 200

        # They are called slow once they have been there for a while.
        wait_until(served)
        # The server may have taken the two in either order, so either may be the slower.
        told, _, _ = select.select(stalled, [], [], SOON)
        refusal = told[0].recv(4000)
        assert refusal.startswith(b"HTTP/1.1 503")
        assert b"uploads_full" in refusal
        faster.sendall(JPEG[2000:])
        assert faster.recv(1000).startswith(b"HTTP/1.1 200"), "the faster one kept its place"


def ask_for_overlay(running: Server, header: bytes = b"") -> socket.socket:
    """A client that asks for more than the system buffers for it, and does not read it."""
    head = (
        b"POST /v1/overlay HTTP/1.1\r\nHost: x\r\nAccept: image/png\r\n%sContent-Length: %d\r\n\r\n"
    )
    host, port = running.url.removeprefix("http://").split(":")
    connection = socket.socket()
    connection.settimeout(SOON)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((host, int(port)))
    connection.sendall(head % (header, len(NOISE)) + NOISE)
    return connection


@pytest.mark.parametrize("close", [b"", b"Connection: close\r\n"])
def test_an_answer_that_is_not_read_is_counted_and_then_thrown_away(
    hasty: Server, close: bytes
) -> None:
    before = dropped(hasty, "answer_not_read")
    with (
        ask_for_overlay(hasty, close),
        httpx.Client(base_url=hasty.url, timeout=SOON) as client,
    ):
        held = [0.0]

        def given_up() -> bool:
            seen = read_metrics(client)
            held.append(seen[("deeplab_held_bytes",)])
            return seen[("deeplab_connections_dropped_total", "answer_not_read")] > before

        wait_until(given_up)
        assert max(held) > 1_000_000
        assert dropped(hasty, "answer_not_read") == before + 1
        wait_until(lambda: total(client, "deeplab_held_bytes") == 0)


def test_clients_that_do_not_read_shut_nobody_out() -> None:
    with (
        serving(*FAST, "--queue-bytes", "12000000", *UNHURRIED) as running,
        ExitStack() as deaf,
        httpx.Client(base_url=running.url, timeout=SOON) as client,
    ):
        for number in range(5):
            deaf.enter_context(ask_for_overlay(running))
            # All but the last one have been given up.
            while dropped(running, "answer_not_read") < number:
                time.sleep(0.02)
        assert read_metrics(client)[("deeplab_held_bytes",)] < 6_000_000
        assert client.post("/v1/segments", content=NOISE).status_code == 200


def test_idle_connections_make_room_for_those_who_want_something(narrow: Server) -> None:
    before = dropped(narrow, "too_many")
    with ExitStack() as idle, httpx.Client(base_url=narrow.url, timeout=SOON) as client:
        for _ in range(60):
            idle.enter_context(send(narrow, b""))
            # A client that uses its connection keeps it.
            assert client.get("/healthz").status_code == 200
        assert client.post("/v1/mask", content=JPEG).status_code == 200
        assert dropped(narrow, "too_many") >= before + 40


def test_where_all_connections_are_busy_new_ones_are_turned_away() -> None:
    with (
        serving(*FAST, "--max-connections", "4", *UNHURRIED) as running,
        ExitStack() as connections,
    ):
        busy = [connections.enter_context(send(running, upload() + JPEG[:50])) for _ in range(4)]

        def turned_away() -> bytes:
            with send(running, b"") as late:
                return receive_all(late)

        wait_until(lambda: turned_away().startswith(b"HTTP/1.1 503"))
        assert b"retry-after: 1" in turned_away().lower()
        for guest in busy:
            guest.sendall(JPEG[50:])
            assert guest.recv(1000).startswith(b"HTTP/1.1 200")
        wait_until(lambda: running.post("/v1/mask", content=JPEG).status_code == 200)
