"""From a stop signal to the end: what clients hear on the way, and that nothing is lost."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from itertools import count

import httpx
import pytest

from tests.e2e.conftest import FAST, SERVE, Server, serving, wait_until
from tests.e2e.test_bad_requests import assert_problem, send
from tests.e2e.test_load import UNHURRIED, upload
from tests.service import pictures
from tests.service.models import SOON

JPEG = pictures.encoded(pictures.photo(320, 240), "JPEG")
CLIENTS = 6
KILLS = 12


FOR_EVER = ("--drain-delay", "3000")
"""A pause that ends with a second signal."""


def until_not_ready(running: Server) -> httpx.Response:
    wait_until(lambda: running.get("/readyz").status_code != 200)
    return running.get("/readyz")


def test_it_is_not_ready_first_and_still_serves_then_refuses_and_finishes_what_it_has() -> None:
    with serving(*FAST, *FOR_EVER, *UNHURRIED) as running:
        with (
            httpx.Client(base_url=running.url, timeout=SOON) as early,
            send(running, upload() + JPEG[:50]) as slow,
        ):
            assert early.get("/healthz").status_code == 200
            running.process.send_signal(signal.SIGTERM)
            assert_problem(until_not_ready(running), 503, "shutting down")
            served = early.post("/v1/mask", content=JPEG)
            assert (served.status_code, served.headers["connection"]) == (200, "close")
            # The pause ends.
            running.process.send_signal(signal.SIGTERM)
            while (late := running.post("/v1/mask", content=JPEG)).status_code == 200:
                time.sleep(0.05)
            assert_problem(late, 503, "shutting down")
            assert late.json()["reason"] == "shutting_down"
            assert late.headers["connection"] == "close"
            assert late.headers["retry-after"] == "1"
            assert running.get("/healthz").status_code == 200, "alive to the end"
            slow.sendall(JPEG[50:])
            assert slow.recv(1000).startswith(b"HTTP/1.1 200")
        assert running.process.wait(30) == 0


def test_a_second_signal_skips_the_pause() -> None:
    with serving(*FAST, *FOR_EVER) as running:
        running.process.send_signal(signal.SIGTERM)
        until_not_ready(running)
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(30) == 0


class Guest(threading.Thread):
    """Sends pictures one after another and keeps what came of each, by its request's id."""

    numbers = count()

    def __init__(self, url: str, keep_alive: bool) -> None:
        super().__init__()
        self.url = url
        self.keep_alive = keep_alive
        self.seen: dict[str, httpx.Response | httpx.TransportError] = {}

    def run(self) -> None:
        limits = httpx.Limits(max_keepalive_connections=None if self.keep_alive else 0)
        with httpx.Client(base_url=self.url, timeout=SOON, limits=limits) as client:
            while True:
                name = f"guest-{next(self.numbers)}"
                headers = {"X-Request-Id": name}
                try:
                    answer = client.post("/v1/mask", content=JPEG, headers=headers)
                except httpx.TransportError as error:
                    self.seen[name] = error
                    return
                self.seen[name] = answer
                if answer.status_code == 503 and answer.json()["reason"] == "shutting_down":
                    # Comes back at once rather than after Retry-After, to meet the very end.
                    time.sleep(0.02)


def log_lines(running: Server) -> list[dict[str, object]]:
    return [json.loads(line) for line in running.output if line.startswith("{")]


@pytest.mark.parametrize("kill", range(KILLS))
def test_nothing_that_was_accepted_is_lost(kill: int) -> None:
    with serving(*FAST, "--access-log", "--log-format", "json") as running:
        guests = [Guest(running.url, keep_alive=bool(index % 2)) for index in range(CLIENTS)]
        for guest in guests:
            guest.start()
        while not all(guest.seen for guest in guests):
            time.sleep(0.01)
        time.sleep(0.03 * kill)
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(30) == 0
        for guest in guests:
            guest.join()
    logged = {line["id"]: line for line in log_lines(running) if line["event"] == "request"}
    seen = {name: outcome for guest in guests for name, outcome in guest.seen.items()}
    outcomes: Counter[object] = Counter()
    for name, outcome in seen.items():
        if isinstance(outcome, httpx.Response):
            outcomes[outcome.status_code] += 1
            assert outcome.status_code in (200, 503), outcome.text
            assert logged[name]["status"] == outcome.status_code
            assert outcome.headers["x-request-id"] == name
        else:
            outcomes["not accepted"] += 1
            assert name not in logged, f"{name} was accepted and lost: {outcome!r}"
    assert outcomes[200] >= CLIENTS
    assert set(logged) <= set(seen)


FAULTY = """
import sys, time
from service.cli import main
from service.engine.session import Session
run = Session.run
def fail(self, images):
    if not images.std():  # what warms the model
        return run(self, images)
    {fault}
Session.run = fail
sys.argv[0] = "deeplab-serve"
main()
"""


@pytest.mark.parametrize(
    ("fault", "status", "why"),
    [
        ("Session.run = None", 500, "does not run: 'NoneType' object is not callable"),
        ("time.sleep(1000)", 504, "does not run: a batch has been computing for more than 0.5 s"),
    ],
)
def test_what_only_a_restart_can_heal_ends_the_service(fault: str, status: int, why: str) -> None:
    """So that whoever watches over the process starts it again."""
    command = (sys.executable, "-c", FAULTY.format(fault=fault))
    flags = ("--run-timeout", "0.5", *FOR_EVER, "--drain-timeout", "1")
    with serving(*FAST, *flags, command=command) as running:
        timeout = {"X-Request-Timeout": "1"}
        answer = running.post("/v1/mask", content=JPEG, headers=timeout)
        assert answer.status_code == status
        assert_problem(running.get("/healthz"), 503, "restart the service")
        assert running.get("/readyz").json()["reason"] == "broken"
        assert "deeplab_alive 0.0" in running.get("/metrics").text
        # Nobody has asked it to; two signals end the pause, of which no two alike can wait.
        wait_until(lambda: any("closed in 3000 s" in line for line in running.output))
        running.process.send_signal(signal.SIGTERM)
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(30) == 1
    last = running.output[-1]
    assert last.startswith("deeplab-serve: the model ")
    assert why in last


def test_a_batch_that_comes_back_too_late_changes_nothing() -> None:
    command = (
        sys.executable,
        "-c",
        FAULTY.format(fault="time.sleep(1); return run(self, images)"),
    )
    flags = ("--run-timeout", "0.5", "--drain-delay", "1")
    with serving(*FAST, *flags, command=command) as running:
        assert running.post("/v1/mask", content=JPEG).status_code == 200
        assert running.process.wait(30) == 1
    assert "a batch has been computing for more than 0.5 s" in running.output[-1]


def test_a_stop_while_warming_up_ends_it() -> None:
    process = subprocess.Popen(
        [SERVE, "--port", "0"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    assert process.stderr
    assert "warming" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    _, rest = process.communicate(timeout=30)
    assert process.returncode == 0, rest
    assert "Traceback" not in rest
