"""Servers that are busy, slow, restarted or not there."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from service.client import ClientError, NoAnswer, ProblemError
from tests.client.conftest import Connect
from tests.e2e.conftest import FAST, reserved_port, serving, wait_until
from tests.e2e.held import Held, holding
from tests.e2e.test_operation import read_metrics
from tests.service import pictures
from tests.service.models import SOON

PNG = pictures.encoded(pictures.photo(160, 120), "PNG")


@pytest.fixture(scope="module")
def held() -> Iterator[Held]:
    with holding("--queue-limit", "2") as running:
        yield running


def test_a_busy_server_is_asked_again_when_it_says_so(connect: Connect, held: Held) -> None:
    url = held.server.url
    with httpx.Client(base_url=url, timeout=SOON) as plain, ThreadPoolExecutor() as pool:

        def refusals() -> float:
            refused = ("deeplab_requests_total", "queue_full", "/v1/mask", "503")
            return read_metrics(plain).get(refused, 0)

        with held.crowd(2) as others, connect(url, timeout=SOON) as patient:
            with connect(url, retries=0) as hasty, pytest.raises(ProblemError) as caught:
                hasty.mask(PNG)
            assert (caught.value.status, caught.value.reason) == (503, "queue_full")
            assert caught.value.retry_after is not None
            assert caught.value.retry_after >= 1
            before = refusals()
            answer = pool.submit(patient.mask, PNG)
            wait_until(lambda: refusals() > before)
            held.release()
            assert answer.result().ids.shape == (120, 160)
            assert [other.result().status_code for other in others] == [200, 200]


def test_a_call_ends_when_its_time_is_over(connect: Connect, held: Held) -> None:
    with connect(held.server.url, timeout=SOON) as client, held.crowd(1):
        with pytest.raises(ClientError) as caught:
            client.mask(PNG, timeout=0.4)
        told = getattr(caught.value, "reason", "the client gave up first")
        assert told in ("deadline", "no_time", "the client gave up first")
        held.release()
        assert client.mask(PNG).ids.shape == (120, 160)


def test_a_server_that_restarts_loses_no_call(connect: Connect) -> None:
    with (
        reserved_port() as port,
        connect(f"http://127.0.0.1:{port}", timeout=SOON, retries=100) as client,
        ThreadPoolExecutor() as pool,
    ):
        flags = (*FAST, "--port", str(port))
        with serving(*flags):
            before = client.mask(PNG).data
        answer = pool.submit(client.mask, PNG)
        with serving(*flags):
            assert answer.result().data == before


def test_a_server_that_is_not_there_is_told(connect: Connect) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with connect(f"http://127.0.0.1:{taken.getsockname()[1]}", retries=1) as client:
            with pytest.raises(NoAnswer, match=r"no answer from http://127.0.0.1:\d+/readyz: "):
                client.ready()
            with pytest.raises(NoAnswer, match="/v1/mask"):
                client.mask(PNG, timeout=0)


def test_what_cannot_be_asked_is_told_before_anything_is_sent(connect: Connect) -> None:
    no_address = "'localhost:8000' is no address of a service"
    with pytest.raises(ValueError, match=no_address), connect("localhost:8000"):
        pass
    with connect("http://127.0.0.1:1", retries=0) as client:
        with pytest.raises(TypeError, match="takes a list of pictures"):
            client.mask_all("photo.jpg")
        with pytest.raises(ValueError, match="list of pictures is empty"):
            client.segments_all([])


def test_a_key_with_its_line_break_is_told_and_not_shown(connect: Connect) -> None:
    with (
        pytest.raises(ValueError, match="the key is not one line") as caught,
        connect("http://127.0.0.1:1", key="0123456789abcdef\n"),
    ):
        pass
    assert "0123456789abcdef" not in str(caught.value)


def test_a_picture_that_was_opened_as_text_is_told(connect: Connect) -> None:
    with (
        open(__file__, encoding="utf-8") as text,
        connect("http://127.0.0.1:1", retries=0) as client,
        pytest.raises(TypeError, match="binary mode"),
    ):
        client.mask(text)  # type: ignore[arg-type]
