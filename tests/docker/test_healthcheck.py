"""The container's health check, against a server that is alive, broken or not there."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.docker.files import ROOT

CHECK = [sys.executable, "-IS", str(ROOT / "docker" / "healthcheck.py")]


@contextmanager
def answering(status: int) -> Iterator[int]:
    """A server on the returned port whose /healthz answers with a status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def check(port: int) -> int:
    """The exit status of a check."""
    environment = {**os.environ, "DEEPLAB_PORT": str(port)}
    return subprocess.run(CHECK, env=environment, capture_output=True, timeout=30).returncode


@pytest.mark.parametrize(("status", "exit_status"), [(200, 0), (503, 1), (404, 1)])
def test_it_is_healthy_if_healthz_says_so(status: int, exit_status: int) -> None:
    with answering(status) as port:
        assert check(port) == exit_status


def test_no_answer_is_not_healthy() -> None:
    with answering(200) as port:
        pass
    assert check(port) == 1
