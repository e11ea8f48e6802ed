"""More work than the machine can do: queues, refusals, deadlines, clients that leave."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
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
from tests.e2e.conftest import Server, serving
from tests.e2e.test_bad_requests import assert_problem, send
from tests.e2e.test_operation import read_metrics, total
from tests.service import pictures
from tests.service.models import SMALL, SOON, HeldModel

pytestmark = pytest.mark.xdist_group("server")

JPEG = pictures.encoded(pictures.photo(320, 240), "JPEG")
SLOW = ("--buckets", "1025x1025", "--sessions", "1", "--threads", "1", "--max-batch", "1")
"""A model that takes half a second or more for each picture."""


def upload(size: int = len(JPEG)) -> bytes:
    """The head of a raw upload."""
    return f"POST /v1/mask HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()


@contextmanager
def crowd(running: Server, guests: int) -> Iterator[list[Future[httpx.Response]]]:
    """So many requests on their way, all admitted."""
    with ThreadPoolExecutor(guests) as pool, httpx.Client(base_url=running.url) as client:
        futures = [
            pool.submit(httpx.post, f"{running.url}/v1/mask", content=JPEG, timeout=SOON)
            for _ in range(guests)
        ]
        wait_for_depth(client, guests)
        yield futures


def wait_for_depth(client: httpx.Client, depth: int) -> None:
    for _ in range(500):
        if total(client, "deeplab_queue_depth") == depth:
            return
        time.sleep(0.01)
    raise AssertionError(f"the queue never held {depth}")


@pytest.mark.parametrize("text", ["0", "-1", "soon", "inf", "nan", ""])
def test_a_time_that_is_none_is_refused(client: httpx.Client, text: str) -> None:
    response = client.post("/v1/mask", content=JPEG, headers={"X-Request-Timeout": text})
    assert_problem(response, 422, f"X-Request-Timeout: {text!r} is not a number above 0")


def test_what_cannot_be_done_in_time_is_refused_at_once_and_told_when_to_come_back() -> None:
    with serving(*SLOW) as running, httpx.Client(base_url=running.url, timeout=SOON) as client:
        assert client.post("/v1/mask", content=JPEG).status_code == 200
        with crowd(running, 6) as answers:
            wait = total(client, "deeplab_expected_wait_seconds")
            in_haste = client.post("/v1/mask", content=JPEG, headers={"X-Request-Timeout": "0.5"})
            assert_problem(in_haste, 503, "6 requests are being answered, which takes about")
            assert 1 <= int(in_haste.headers["retry-after"]) <= math.ceil(wait)
            patient = client.post("/v1/mask", content=JPEG, headers={"X-Request-Timeout": "60"})
            assert patient.status_code == 200
            assert [answer.result().status_code for answer in answers] == [200] * 6


def test_a_deadline_that_passes_in_the_queue_costs_the_model_nothing() -> None:
    with serving(*SLOW) as running, httpx.Client(base_url=running.url, timeout=SOON) as client:
        # Nothing has been measured yet, so that the house believes it can be done in time.
        with crowd(running, 3) as answers:
            late = client.post("/v1/mask", content=JPEG, headers={"X-Request-Timeout": "2.8"})
            statuses = [answer.result().status_code for answer in answers]
        assert statuses == [200] * 3
        computed = read_metrics(client)[("deeplab_stage_seconds_count", "infer")]
        # On a fast machine it was in time after all.
        assert computed == (4 if late.status_code == 200 else 3)
        assert late.status_code in (200, 504)


def test_clients_that_hang_up_free_their_places() -> None:
    with serving(*SLOW) as running, httpx.Client(base_url=running.url, timeout=SOON) as client:
        guests = [send(running, upload() + JPEG) for _ in range(8)]
        wait_for_depth(client, 8)
        for guest in guests:
            guest.close()
        wait_for_depth(client, 0)
        assert client.post("/v1/mask", content=JPEG).status_code == 200
        seen = read_metrics(client)
        assert seen[("deeplab_requests_total", "hung_up", "/v1/mask", "499")] == 8
        runs = sum(value for key, value in seen.items() if key[0] == "deeplab_batch_size_count")
        assert runs <= 3, "those that had not begun are never computed"
    assert "Traceback" not in "".join(running.output)


def test_more_requests_than_the_house_holds_are_refused() -> None:
    with (
        serving(*SLOW, "--queue-limit", "2") as running,
        httpx.Client(base_url=running.url, timeout=SOON) as client,
        crowd(running, 2) as answers,
    ):
        refused = client.post("/v1/mask", content=JPEG)
        assert_problem(refused, 503, "limit")
        assert int(refused.headers["retry-after"]) >= 1
        assert [answer.result().status_code for answer in answers] == [200] * 2
        assert client.post("/v1/mask", content=JPEG).status_code == 200


def test_uploads_that_do_not_arrive_take_no_place() -> None:
    with serving("--queue-limit", "1") as running:
        guests = [send(running, upload() + JPEG[:100]) for _ in range(20)]
        assert httpx.post(f"{running.url}/v1/mask", content=JPEG).status_code == 200
        for guest in guests:
            guest.sendall(JPEG[100:])
            assert guest.recv(1000).startswith((b"HTTP/1.1 200", b"HTTP/1.1 503"))
            guest.close()


def test_uploads_in_the_house_are_bounded_in_bytes() -> None:
    with serving("--queue-bytes", "150000") as running:
        with send(running, upload(200_000) + bytes(100_000)) as guest:
            for _ in range(100):
                refused = httpx.post(f"{running.url}/v1/mask", content=bytes(60_000))
                if refused.status_code == 503:
                    break
            assert_problem(refused, 503, "bytes, and the limit is 150000")
            assert int(refused.headers["retry-after"]) >= 1
            assert httpx.post(f"{running.url}/v1/mask", content=JPEG).status_code == 200
            guest.sendall(bytes(100_000))
            assert guest.recv(1000).startswith(b"HTTP/1.1 503")
        for _ in range(100):
            response = httpx.post(f"{running.url}/v1/mask", content=bytes(140_000))
            if response.status_code == 415:
                break
        assert response.status_code == 415, "those that left gave their bytes back"


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
        for _ in range(500):
            if client.get("/readyz").status_code == 200:
                break
            time.sleep(0.01)
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
