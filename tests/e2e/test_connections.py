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

from tests.e2e.conftest import FAST, Server, serving
from tests.e2e.test_bad_requests import send
from tests.e2e.test_load import upload
from tests.e2e.test_operation import read_metrics
from tests.service import pictures
from tests.service.models import SOON

JPEG = pictures.encoded(pictures.photo(320, 240), "JPEG")
NOISE = pictures.encoded(pictures.noise(3000, 2000), "JPEG", quality=30)
"""Its overlay as PNG is larger than what the system buffers for a client."""
FLAGS = (
    *FAST,
    *("--head-timeout", "1", "--upload-timeout", "1", "--send-timeout", "1"),
    *("--max-connections", "20", "--max-uploads", "3"),
)


@pytest.fixture(scope="module")
def hasty() -> Iterator[Server]:
    """A server with little patience."""
    with serving(*FLAGS) as running:
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


def wait_for(running: Server, name: str, value: float) -> None:
    with httpx.Client(base_url=running.url, timeout=SOON) as client:
        for _ in range(1000):
            if read_metrics(client)[(name,)] == value:
                return
            time.sleep(0.01)
    raise AssertionError(f"{name} never became {value}")


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
def test_a_slow_upload_is_a_problem(hasty: Server, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n"
    with send(hasty, head.encode() + b"abc") as connection:
        status, problem = answer(connection)
    assert (status, problem["reason"]) == (408, "slow_upload")
    assert "limit of 1 s" in str(problem["detail"])


def test_the_rest_of_a_refused_upload_is_not_awaited_for_ever(hasty: Server) -> None:
    before = dropped(hasty, "body_not_wanted")
    with send(hasty, upload(10**9)) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")
        with suppress(ConnectionError):
            for _ in range(1000):
                connection.sendall(b"drip")
                time.sleep(0.02)
    assert dropped(hasty, "body_not_wanted") == before + 1


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


def test_more_uploads_than_the_limit_are_refused(hasty: Server) -> None:
    uploads = [send(hasty, upload() + JPEG[:50]) for _ in range(3)]
    assert hasty.get("/healthz").status_code == 200
    refused = hasty.post("/v1/mask", content=JPEG)
    assert (refused.status_code, refused.json()["reason"]) == (503, "uploads_full")
    assert int(refused.headers["retry-after"]) >= 1
    for guest in uploads:
        with guest:
            guest.sendall(JPEG[50:])
            assert guest.recv(1000).startswith(b"HTTP/1.1 200")
    assert hasty.post("/v1/mask", content=JPEG).status_code == 200


def test_uploads_that_stall_give_way_to_others() -> None:
    with serving(*FAST, "--max-uploads", "3") as running, ExitStack() as connections:
        faster = connections.enter_context(send(running, upload() + JPEG[:2000]))
        stalled = [connections.enter_context(send(running, upload() + JPEG[:50])) for _ in range(2)]
        for _ in range(1000):
            # They are called slow once they have been there for a while.
            answer = running.post("/v1/mask", content=JPEG)
            if answer.status_code == 200:
                break
            assert answer.json()["reason"] == "uploads_full"
            time.sleep(0.02)
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
        held = 0.0
        for _ in range(300):
            seen = read_metrics(client)
            held = max(held, seen[("deeplab_held_bytes",)])
            if seen[("deeplab_connections_dropped_total", "answer_not_read")] > before:
                break
            time.sleep(0.05)
    assert held > 1_000_000
    assert dropped(hasty, "answer_not_read") == before + 1
    wait_for(hasty, "deeplab_held_bytes", 0)


def test_clients_that_do_not_read_shut_nobody_out() -> None:
    with serving(*FAST, "--queue-bytes", "40000000") as running:
        deaf = []
        for number in range(5):
            deaf.append(ask_for_overlay(running))
            # All but the last one have been given up.
            while dropped(running, "answer_not_read") < number:
                time.sleep(0.02)
        with httpx.Client(base_url=running.url, timeout=SOON) as client:
            assert read_metrics(client)[("deeplab_held_bytes",)] < 20_000_000
            assert client.post("/v1/segments", content=NOISE).status_code == 200
        for connection in deaf:
            connection.close()


def test_idle_connections_make_room_for_those_who_want_something(hasty: Server) -> None:
    before = dropped(hasty, "too_many")
    with httpx.Client(base_url=hasty.url, timeout=SOON) as client:
        idle = []
        for _ in range(60):
            idle.append(send(hasty, b""))
            # A client that uses its connection keeps it.
            assert client.get("/healthz").status_code == 200
        assert client.post("/v1/mask", content=JPEG).status_code == 200
    assert dropped(hasty, "too_many") >= before + 40
    for connection in idle:
        connection.close()


def test_where_all_connections_are_busy_new_ones_are_turned_away() -> None:
    with serving(*FAST, "--max-connections", "4") as running:
        busy = [send(running, upload() + JPEG[:50]) for _ in range(4)]
        for _ in range(1000):
            with send(running, b"") as late:
                received = receive_all(late)
            if received:
                break
        assert received.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 1" in received.lower()
        for guest in busy:
            with guest:
                guest.sendall(JPEG[50:])
                assert guest.recv(1000).startswith(b"HTTP/1.1 200")
        assert running.post("/v1/mask", content=JPEG).status_code == 200
