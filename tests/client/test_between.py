"""What answers in the service's place: a proxy whose server was lost, or Ray."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest

from service.client import ProblemError
from tests.client.conftest import Connect
from tests.listening import listening
from tests.service import pictures

PNG = pictures.encoded(pictures.photo(16, 12), "PNG")
OF_RAY = (500, "text/plain", b"Internal Server Error")
OF_PROXIES = [
    OF_RAY,
    (502, "text/html", b"<html><h1>502 Bad Gateway</h1></html>"),
    (504, "application/json", b'{"message": "The upstream server is timing out"}'),
]
OWN = [
    (status, "application/problem+json", json.dumps({"reason": reason, "detail": "so"}).encode())
    for status, reason in ((500, "internal"), (504, "deadline"))
]
Answer = tuple[int, str, bytes]


@contextmanager
def answering(*answers: Answer) -> Iterator[tuple[str, list[bytes]]]:
    """A server that gives these answers, the last one for ever; its address, and what it got."""
    left, got = list(answers), []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            status, kind, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with listening(Handler) as url:
        yield url, got


@pytest.mark.parametrize("answer", OF_PROXIES, ids=["ray", "gateway", "timeout"])
def test_a_request_that_was_lost_behind_a_proxy_is_sent_again(
    connect: Connect, answer: Answer
) -> None:
    with (
        answering(answer, answer, (200, "image/png", PNG)) as (url, got),
        connect(url) as client,
    ):
        assert client.mask(PNG).data == PNG
    assert got == [PNG] * 3


def test_a_proxy_that_has_no_server_is_believed(connect: Connect) -> None:
    with (
        answering(OF_RAY) as (url, got),
        connect(url) as client,
        pytest.raises(ProblemError, match="500: Internal Server Error") as caught,
    ):
        client.mask(PNG)
    assert (caught.value.status, caught.value.reason) == (500, "")
    assert len(got) == 3


@pytest.mark.parametrize("answer", OWN, ids=["internal", "deadline"])
def test_the_service_s_own_failure_is_final(connect: Connect, answer: Answer) -> None:
    with (
        answering(answer) as (url, got),
        connect(url) as client,
        pytest.raises(ProblemError) as caught,
    ):
        client.mask(PNG)
    assert caught.value.status == answer[0]
    assert caught.value.reason
    assert len(got) == 1


def test_a_client_that_is_to_try_once_does(connect: Connect) -> None:
    with (
        answering(OF_RAY) as (url, got),
        connect(url, retries=0) as client,
        pytest.raises(ProblemError),
    ):
        client.mask(PNG)
    assert len(got) == 1
