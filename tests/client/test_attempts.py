"""When a call is tried again, without a server."""

from __future__ import annotations

import httpx
import pytest

from service.client.asks import Ask
from service.client.attempts import SPREAD, Attempts
from service.client.errors import NoAnswer, ProblemError

ASK: Ask[bytes] = Ask("/v1/mask", lambda response: response.content, b"picture")
URL = "http://127.0.0.1:8000"


def busy(seconds: object) -> httpx.Response:
    headers = {} if seconds is None else {"Retry-After": str(seconds)}
    return httpx.Response(503, headers=headers, json={"reason": "queue_full", "detail": "full"})


def pause_of(attempts: Attempts, outcome: httpx.Response | httpx.TransportError) -> float:
    """Seconds until the next try, which there must be."""
    pause = attempts.settle(outcome)
    assert isinstance(pause, float)
    return pause


def test_the_pause_is_what_the_server_asked_for_and_a_little_more() -> None:
    pauses = {pause_of(Attempts(ASK, URL, 60, 1), busy(7)) for _ in range(50)}
    assert all(7 <= pause <= 7 * SPREAD for pause in pauses)
    assert len(pauses) > 40, "not all come back at once"


@pytest.mark.parametrize("seconds", [None, "Wed, 21 Oct 2026 07:28:00 GMT", -3])
def test_where_it_asked_for_nothing_pauses_grow(seconds: object) -> None:
    attempts = Attempts(ASK, URL, 600, 7)
    pauses = [pause_of(attempts, busy(seconds)) for _ in range(7)]
    assert all(0 < pause <= 5 * SPREAD for pause in pauses)
    assert pauses[0] < pauses[2] < pauses[4]
    with pytest.raises(ProblemError):
        attempts.settle(busy(seconds))


def test_a_pause_longer_than_the_time_that_is_left_is_not_made() -> None:
    with pytest.raises(ProblemError) as caught:
        Attempts(ASK, URL, 5, 9).settle(busy(6))
    assert caught.value.retry_after == 6


@pytest.mark.parametrize("status", [400, 401, 404, 408, 413, 415, 422, 429, 500, 504])
def test_nothing_else_is_tried_again(status: int) -> None:
    own = {"reason": "of_the_service", "detail": "what was wrong"}
    answer = httpx.Response(status, headers={"Retry-After": "1"}, json=own)
    with pytest.raises(ProblemError) as caught:
        Attempts(ASK, URL, 60, 9).settle(answer)
    assert (caught.value.status, caught.value.reason) == (status, "of_the_service")


@pytest.mark.parametrize("status", [301, 403, 404, 501, 505])
def test_nor_is_what_a_proxy_refuses_for_good(status: int) -> None:
    with pytest.raises(ProblemError) as caught:
        Attempts(ASK, URL, 60, 9).settle(httpx.Response(status, text="no"))
    assert (caught.value.status, caught.value.reason) == (status, "")


def test_a_busy_server_behind_a_proxy_in_trouble_has_all_its_tries() -> None:
    attempts = Attempts(ASK, URL, 600, 4)
    pause_of(attempts, httpx.Response(502))
    pause_of(attempts, busy(None))
    pause_of(attempts, httpx.Response(500))
    pause_of(attempts, busy(None))
    with pytest.raises(ProblemError):
        attempts.settle(busy(None))


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (httpx.Response(502, text="<html>bad gateway</html>"), "<html>bad gateway</html>"),
        (httpx.Response(502, json=["no", "problem"]), '["no","problem"]'),
        (httpx.Response(302), "Found"),
    ],
)
def test_what_a_stranger_answers_is_quoted(answer: httpx.Response, detail: str) -> None:
    with pytest.raises(ProblemError) as caught:
        Attempts(ASK, URL, 60, 0).settle(answer)
    assert (caught.value.reason, caught.value.detail) == ("", detail)


def test_a_failed_connection_is_tried_again_but_not_a_wrong_address() -> None:
    attempts = Attempts(ASK, URL, 60, 1)
    assert pause_of(attempts, httpx.ConnectError("refused")) > 0
    with pytest.raises(NoAnswer, match=r"http://127.0.0.1:8000/v1/mask: refused"):
        attempts.settle(httpx.ConnectError("refused"))
    with pytest.raises(NoAnswer, match="scheme"):
        Attempts(ASK, URL, 60, 9).settle(httpx.UnsupportedProtocol("no scheme"))


def test_the_server_is_told_how_much_time_is_left() -> None:
    request = Attempts(ASK, URL, 20, 1).request()
    assert 19 < float(request["headers"]["X-Request-Timeout"]) <= 20
    assert (
        "X-Request-Timeout" not in Attempts(Ask("/readyz", bool), URL, 20, 1).request()["headers"]
    )
