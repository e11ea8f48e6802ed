"""One line for each request, in words or as JSON, and never a service that waits for its log."""

from __future__ import annotations

import json
import os
import re
import subprocess
from contextlib import ExitStack
from functools import partial
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import FAST, PATIENCE, SERVE, Server, reserved_port, serving, wait_until
from tests.service import pictures

JPEG = pictures.encoded(pictures.photo(320, 240), "JPEG")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def ask(server: Server) -> None:
    """A picture with ids, one without, rubbish, nothing there, and a probe."""
    headers = {"X-Request-Id": "order-66", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    answer = server.post("/v1/mask", content=JPEG, headers=headers)
    assert answer.headers["x-request-id"] == "order-66"
    server.post("/v1/segments?geometry=rle", content=JPEG)
    server.post("/v1/mask", content=b"rubbish", headers={"X-Request-Id": "not safe!"})
    server.get("/secret/path")
    server.get("/healthz")


def test_a_line_for_each_request_as_json() -> None:
    with serving(*FAST, "--access-log", "--log-format", "json") as running:
        ask(running)
    lines: list[dict[str, Any]] = [json.loads(x) for x in running.output if x.startswith("{")]
    asked = [line for line in lines if line["event"] == "request"]
    assert len(asked) == 4, "probes are only logged for debugging"
    mask, segments, rubbish, nothing = asked
    assert mask["id"] == "order-66"
    assert mask["trace"] == TRACE
    assert (mask["route"], mask["method"], mask["status"]) == ("/v1/mask", "POST", 200)
    assert (mask["picture"], mask["bucket"], mask["batch"]) == ("320x240", "129x129", 1)
    assert (mask["bytes_in"], mask["client"]) == (len(JPEG), "127.0.0.1")
    assert mask["bytes_out"] > 100
    stages = {"read_ms", "decode_ms", "queue_ms", "infer_ms", "encode_ms"}
    assert stages <= set(mask)
    assert 0 < mask["infer_ms"] <= mask["ms"]
    assert "reason" not in mask
    assert re.fullmatch(r"[0-9a-f]{16}", segments["id"])
    assert "trace" not in segments
    assert (rubbish["status"], rubbish["reason"]) == (415, "unsupported_format")
    assert re.fullmatch(r"[0-9a-f]{16}", rubbish["id"]), "an id that is not safe is not taken over"
    assert (nothing["route"], nothing["reason"]) == ("unmatched", "not_found")
    assert not any("secret" in line for line in running.output)
    assert all({"timestamp", "level", "logger"} <= set(line) for line in lines)


def test_a_refusal_of_the_frameworks_own_is_no_client_that_hung_up() -> None:
    origin = "https://pages.example"
    asked = {"Origin": "https://other.example", "Access-Control-Request-Method": "POST"}
    flags = ("--access-log", "--log-format", "json", "--cors-origins", origin)
    with serving(*FAST, *flags) as running:
        httpx.options(f"{running.url}/v1/mask", headers=asked)
        running.get("/docs/swagger-ui.css", headers={"Range": "bytes=9999999-"})
    lines = [json.loads(line) for line in running.output if '"request"' in line]
    assert [line["status"] for line in lines] == [400, 416]
    assert {line["reason"] for line in lines} == {"malformed_request"}


def test_in_words_and_with_probes_for_debugging() -> None:
    with serving(*FAST, "--access-log", "--log-level", "debug") as running:
        ask(running)
    text = "".join(running.output)
    assert re.search(r"request .*id=order-66.* status=200", text)
    assert "route=/healthz" in text


def test_no_line_for_a_request_unless_asked_for() -> None:
    with serving(*FAST) as running:
        ask(running)
    assert "order-66" not in "".join(running.output)


@pytest.mark.xdist_group("server")
def test_every_answer_has_an_id(client: httpx.Client) -> None:
    answers = [client.get("/healthz"), client.get("/none"), client.post("/v1/mask", content=b"")]
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == 3
    assert all(re.fullmatch(r"[0-9a-f]{16}", each) for each in ids)


@pytest.mark.parametrize("sink", ["stalled", "closed", "full"])
def test_a_log_that_nobody_reads_does_not_stop_the_service(sink: str) -> None:
    reader, writer = os.pipe()
    target = os.open("/dev/full", os.O_WRONLY) if sink == "full" else writer
    kept = ExitStack()
    port = kept.enter_context(reserved_port())
    flags = (*FAST, "--port", str(port), "--access-log", "--log-level", "debug")
    process = subprocess.Popen([SERVE, *flags], stdout=target, stderr=target)
    os.close(writer)
    if sink == "closed":
        os.close(reader)
    try:
        url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=url, timeout=PATIENCE) as client:
            wait_until(partial(is_ready, client))
            # More lines than a pipe holds.
            for _ in range(300):
                assert client.get("/healthz", headers={"X-Request-Id": "a" * 128}).is_success
            assert client.post("/v1/mask", content=JPEG).status_code == 200
    finally:
        kept.close()
        process.terminate()
        code = process.wait(30)
        if sink == "full":
            os.close(target)
        if sink != "closed":
            os.close(reader)
    assert code == 0


def is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False
