"""More work than the machine can do: queues, refusals, deadlines, clients that leave."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial

import httpx
import pytest

from service.bucket import Bucket
from service.engine.engine import Engine
from service.engine.model import Placement
from service.http.server import DrainingServer
from service.metrics import Metrics
from service.repository.supply import Supply
from service.settings import Settings
from service.start import listen
from tests.e2e.conftest import FAST, serving, wait_until
from tests.e2e.held import Held, holding
from tests.e2e.test_bad_requests import assert_problem, send
from tests.e2e.test_operation import read_metrics, total
from tests.service import pictures
from tests.service.models import SMALL, SOON, HeldModel

JPEG = pictures.encoded(pictures.photo(320, 240), "JPEG")
UNHURRIED = ("--upload-timeout", "1000", "--request-timeout", "1000")
"""Nobody is cut off for being slow, as a whole crowd is on a busy machine."""


def upload(size: int = len(JPEG)) -> bytes:
    """The head of a raw upload."""
    return f"POST /v1/mask HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()


@pytest.fixture(scope="module")
def held() -> Iterator[Held]:
    with holding() as running:
        yield running


@pytest.mark.xdist_group("server")
@pytest.mark.parametrize("text", ["0", "-1", "soon", "inf", "nan", ""])
def test_a_time_that_is_none_is_refused(client: httpx.Client, text: str) -> None:
    response = client.post("/v1/mask", content=JPEG, headers={"X-Request-Timeout": text})
    assert_problem(response, 422, f"X-Request-Timeout: {text!r} is not a number above 0")


def test_what_cannot_be_done_in_time_is_refused_at_once_and_told_when_to_come_back(
    held: Held,
) -> None:
    with held.crowd(1) as first:
        time.sleep(0.5)  # which is what a picture takes, as far as the server has seen
        held.release()
        assert first[0].result().status_code == 200
    with held.crowd(6) as answers, httpx.Client(base_url=held.server.url, timeout=SOON) as client:
        wait = total(client, "deeplab_expected_wait_seconds")
        assert wait > 0.5
        in_haste = client.post("/v1/mask", content=JPEG, headers={"X-Request-Timeout": "0.5"})
        assert_problem(in_haste, 503, "6 requests are being answered, which takes about")
        assert int(in_haste.headers["retry-after"]) == math.ceil(wait)
        answers.append(held.post(**{"X-Request-Timeout": "60"}))
        held.wait_for_depth(7)
        held.release()
        assert [answer.result().status_code for answer in answers] == [200] * 7


def computed(seen: dict[tuple[str, ...], float]) -> float:
    """Batches so far."""
    return sum(value for key, value in seen.items() if key[0] == "deeplab_batch_size_count")


def test_a_deadline_that_passes_in_the_queue_costs_the_model_nothing() -> None:
    with holding() as held, httpx.Client(base_url=held.server.url, timeout=SOON) as client:
        # So that the house has seen that it can be done in time.
        assert held.server.post("/v1/mask", content=JPEG).status_code == 200
        with held.crowd(3) as answers:
            late = client.post("/v1/mask", content=JPEG, headers={"X-Request-Timeout": "2"})
            assert_problem(late, 504, "deadline")
            held.release()
            assert [answer.result().status_code for answer in answers] == [200] * 3
        assert computed(read_metrics(client)) == 4


def test_clients_that_hang_up_free_their_places(held: Held) -> None:
    with httpx.Client(base_url=held.server.url, timeout=SOON) as client:
        before = computed(read_metrics(client))
        with held.hold():
            with ExitStack() as guests:
                for _ in range(8):
                    guests.enter_context(send(held.server, upload() + JPEG))
                held.wait_for_depth(8)
            held.wait_for_depth(0)
        assert client.post("/v1/mask", content=JPEG).status_code == 200
        seen = read_metrics(client)
    assert seen[("deeplab_requests_total", "hung_up", "/v1/mask", "499")] == 8
    assert computed(seen) - before <= 2, "those that had not begun are never computed"
    assert "Traceback" not in "".join(held.server.output)


def test_more_requests_than_the_house_holds_are_refused() -> None:
    with holding("--queue-limit", "2") as held:
        with held.crowd(2) as answers:
            refused = held.server.post("/v1/mask", content=JPEG)
            assert_problem(refused, 503, "limit")
            assert int(refused.headers["retry-after"]) >= 1
            held.release()
            assert [answer.result().status_code for answer in answers] == [200] * 2
        assert held.server.post("/v1/mask", content=JPEG).status_code == 200


def test_uploads_that_do_not_arrive_take_no_place() -> None:
    with (
        serving(*FAST, "--queue-limit", "1", *UNHURRIED) as running,
        ExitStack() as connections,
    ):
        guests = [
            connections.enter_context(send(running, upload() + JPEG[:100])) for _ in range(20)
        ]
        assert running.post("/v1/mask", content=JPEG).status_code == 200
        for guest in guests:
            guest.sendall(JPEG[100:])
            assert guest.recv(1000).startswith((b"HTTP/1.1 200", b"HTTP/1.1 503"))


def test_uploads_in_the_house_are_bounded_in_bytes() -> None:
    with (
        serving(*FAST, "--queue-bytes", "150000", *UNHURRIED) as running,
        httpx.Client(base_url=running.url, timeout=SOON) as client,
    ):
        with send(running, upload(200_000) + bytes(100_000)) as guest:
            wait_until(lambda: total(client, "deeplab_held_bytes") == 100_000)
            refused = client.post("/v1/mask", content=bytes(60_000))
            assert_problem(refused, 503, "bytes, and the limit is 150000")
            assert int(refused.headers["retry-after"]) >= 1
            assert client.post("/v1/mask", content=JPEG).status_code == 200
            guest.sendall(bytes(100_000))
            assert guest.recv(1000).startswith(b"HTTP/1.1 503")
        wait_until(lambda: total(client, "deeplab_held_bytes") == 0)
        response = client.post("/v1/mask", content=bytes(140_000))
        assert response.status_code == 415, "those that left gave their bytes back"


@pytest.mark.xdist_group("server")
def test_bad_pictures_fail_alone(client: httpx.Client) -> None:
    broken = JPEG[: len(JPEG) // 2]

    def ask(index: int) -> int:
        body = broken if index % 4 == 3 else JPEG
        return client.post("/v1/mask", content=body).status_code

    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(ask, range(60)))
    assert statuses == [422 if index % 4 == 3 else 200 for index in range(60)]


@contextmanager
def small_service(model: HeldModel, **settings: object) -> Iterator[httpx.Client]:
    """The application on a model of the test's own, in a thread of this process."""
    metrics = Metrics()
    engine = Engine(model, (SMALL,), 16, observe=partial(metrics.observe_batch, "held"))
    listener = listen("127.0.0.1", 0)
    host, port = listener.getsockname()
    server = DrainingServer(
        Supply(model.provider, engine),
        Settings.model_validate(settings),
        metrics,
        most_connections=100,
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        with httpx.Client(base_url=f"http://{host}:{port}", timeout=SOON) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


def test_not_ready_until_every_bucket_is_warm() -> None:
    warm = threading.Event()

    class Cold(HeldModel):
        def place(self, buckets: Sequence[Bucket]) -> Placement:
            warm.wait(SOON)
            return super().place(buckets)

    model = Cold()
    model.session.gate.set()
    with small_service(model) as client:
        assert client.get("/healthz").status_code == 200
        assert "warming up" in client.get("/readyz").json()["detail"]
        early = client.post("/v1/mask", content=JPEG)
        assert (early.status_code, early.headers["retry-after"]) == (503, "1")
        assert client.get("/v1/models").json()["models"][0]["placement"] is None
        warm.set()
        wait_until(lambda: client.get("/readyz").status_code == 200)
        assert client.post("/v1/mask", content=JPEG).status_code == 200
        placement = client.get("/v1/models").json()["models"][0]["placement"]
        shares = {"sessions": 1, "threads": 1, "alone_threads": 1, "max_batch": 1}
        assert placement == shares


def test_a_broken_session_makes_the_health_check_fail() -> None:
    model = HeldModel()
    model.session.gate.set()
    # The service is about to end by itself; the pause lets it be looked at.
    with small_service(model, drain_delay=SOON) as client:
        assert client.post("/v1/mask", content=JPEG).status_code == 200
        model.session.broken = True
        assert_problem(client.post("/v1/mask", content=JPEG), 500, "does not run")
        assert_problem(
            client.get("/healthz"),
            503,
            "no longer runs on cpu: no kernel image is available; restart",
        )
        assert client.get("/readyz").status_code == 503
        assert_problem(client.post("/v1/mask", content=JPEG), 503, "is broken")
