"""Addresses at which something else answers than the service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest

from service.client import NoAnswer, ProblemError
from tests.client.conftest import Connect
from tests.listening import listening

PAGE = b"<html>Welcome</html>"


@contextmanager
def welcoming(encoding: str = "identity") -> Iterator[str]:
    """A server that has the same page for every request, and says that it is so encoded."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.send_header("Content-Encoding", encoding)
            self.send_header("Content-Length", str(len(PAGE)))
            self.end_headers()
            self.wfile.write(PAGE)

        def do_GET(self) -> None:
            self.do_POST()

    with listening(Handler) as url:
        yield url


def test_what_is_no_answer_of_the_service_is_a_problem_that_quotes_it(connect: Connect) -> None:
    with welcoming() as url, connect(url) as client:
        for call in (
            client.models,
            lambda: client.model("street"),
            lambda: client.segments(b"picture"),
            lambda: client.geojson(b"picture"),
            lambda: client.mask_all([b"picture"]),
        ):
            with pytest.raises(ProblemError, match=r"^200: <html>Welcome") as caught:
                call()
            assert caught.value.reason == ""


def test_an_answer_that_cannot_be_unpacked_is_none(connect: Connect) -> None:
    with (
        welcoming("gzip") as url,
        connect(url) as client,
        pytest.raises(NoAnswer, match="incorrect header"),
    ):
        client.mask(b"picture")
