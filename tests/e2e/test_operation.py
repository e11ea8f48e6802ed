"""Health, metrics, documentation, start and stop."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import onnx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.cores import usable_cores
from service.settings import BUILT_IN_MODEL
from tests.e2e.conftest import FAST, SERVE, serving
from tests.service import pictures

pytestmark = pytest.mark.xdist_group("server")

NAME = "camvid-mobilenetv2"
JPEG = pictures.encoded(pictures.photo(320, 240), "JPEG")


def read_metrics(client: httpx.Client) -> dict[tuple[str, ...], float]:
    """Every sample by name and label values."""
    text = client.get("/metrics").text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def total(client: httpx.Client, name: str) -> float:
    """A metric, summed over its series."""
    found = [value for key, value in read_metrics(client).items() if key[0] == name]
    assert found, f"there is no {name}"
    return sum(found)


def test_health(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "alive", "provider": "cpu"}
    assert client.get("/readyz").json() == {"status": "ready", "provider": "cpu"}


def test_models_say_what_is_loaded(client: httpx.Client) -> None:
    (model,) = client.get("/v1/models").json()["models"]
    assert model == client.get(f"/v1/models/{model['name']}").json()
    assert model["provider"] == "cpu"
    assert {"width": 513, "height": 289} in model["buckets"]
    placement = model["placement"]
    assert 1 <= placement["sessions"] * placement["threads"] <= usable_cores()
    assert "research" in model["licence"]
    assert len(model["labels"]) == len(model["palette"]) == 11
    assert model["quality"]["metric"] == "mean IoU"


def test_requests_and_stages_are_counted(client: httpx.Client) -> None:
    before = read_metrics(client)
    for _ in range(3):
        client.post("/v1/mask", content=JPEG)
    client.post("/v1/mask", content=b"rubbish")
    client.get("/no/such/path/1")
    after = read_metrics(client)

    def grown(*key: str) -> float:
        return after.get(key, 0) - before.get(key, 0)

    assert grown("deeplab_requests_total", "", "/v1/mask", "200") == 3
    assert grown("deeplab_requests_total", "unsupported_format", "/v1/mask", "415") == 1
    assert grown("deeplab_requests_total", "not_found", "unmatched", "404") == 1
    assert grown("deeplab_request_seconds_count", "/v1/mask", "200") == 3
    assert grown("deeplab_batch_size_count", "513x385", NAME) >= 1
    assert grown("deeplab_batch_size_sum", "513x385", NAME) == 3
    for stage in ("infer", "encode"):
        assert grown("deeplab_stage_seconds_count", stage) == 3
        assert grown("deeplab_stage_seconds_sum", stage) > 0
    for stage in ("read", "decode", "queue"):
        assert grown("deeplab_stage_seconds_count", stage) == 4
    assert ("deeplab_queue_depth", NAME, "1") in after
    assert any({"deeplab_model_info", NAME} <= set(key) for key in after)
    assert not any("/no/such" in part for key in after for part in key)


def test_the_api_describes_itself(client: httpx.Client) -> None:
    assert "swagger" in client.get("/docs").text
    assert "deeplab-serve" in client.get("/").text
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/v1/mask", "/v1/overlay", "/v1/segments", "/v1/models", "/healthz"} <= set(paths)
    body = paths["/v1/mask"]["post"]["requestBody"]["content"]
    assert {"multipart/form-data", "image/jpeg"} <= set(body)
    assert "ValidationError" not in client.get("/openapi.json").text, "errors are problems"
    refused = paths["/v1/mask"]["post"]["responses"]["422"]["content"]
    assert list(refused) == ["application/problem+json"]
    assert {"200", "400", "404", "413", "415", "422", "503", "504"} <= set(
        paths["/v1/mask"]["post"]["responses"]
    )


def test_many_clients_at_once_are_all_answered(client: httpx.Client) -> None:
    async def ask() -> list[int]:
        async with httpx.AsyncClient(base_url=client.base_url, timeout=60) as many:
            answers = await asyncio.gather(
                *(many.post("/v1/mask", content=JPEG) for _ in range(24)),
                *(many.get("/healthz") for _ in range(8)),
            )
        return [answer.status_code for answer in answers]

    assert asyncio.run(ask()) == [200] * 32


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_ends_it_in_order(stop: signal.Signals) -> None:
    with serving(*FAST) as running:
        running.process.send_signal(stop)
        assert running.process.wait(30) == 0
    assert "Traceback" not in "".join(running.output)


def test_accepted_requests_are_answered_before_it_ends() -> None:
    """Uploads whose heads were read before the signal are finished after it."""
    head = f"POST /v1/mask HTTP/1.1\r\nHost: x\r\nContent-Length: {len(JPEG)}\r\n\r\n"
    with serving(*FAST) as running, ExitStack() as connections:
        address = urlsplit(running.url)
        host = (address.hostname or "", address.port or 0)
        guests = [
            connections.enter_context(socket.create_connection(host, timeout=30)) for _ in range(6)
        ]
        for guest in guests:
            guest.sendall(head.encode() + JPEG[:100])
        # An answer on a later connection shows that the earlier ones have been accepted.
        assert running.get("/healthz").status_code == 200
        running.process.send_signal(signal.SIGTERM)
        for guest in guests:
            guest.sendall(JPEG[100:])
        for guest in guests:
            assert guest.recv(1000).startswith(b"HTTP/1.1 200")
        assert running.process.wait(30) == 0


def test_a_stop_that_takes_too_long_is_a_problem_for_its_clients() -> None:
    head = b"POST /v1/mask HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nabc"
    with serving(*FAST, "--drain-timeout", "1") as running:
        address = urlsplit(running.url)
        host = (address.hostname or "", address.port or 0)
        with socket.create_connection(host, timeout=30) as guest:
            guest.sendall(head)
            assert running.get("/healthz").status_code == 200
            running.process.send_signal(signal.SIGTERM)
            answer = guest.recv(4000)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"application/problem+json" in answer
        assert running.process.wait(30) == 0
    assert "Traceback" not in "".join(running.output)


@pytest.mark.parametrize(
    ("flags", "what"),
    [
        (("--model", "missing.onnx"), "missing.onnx does not exist"),
        (("--model", "x" * 300), "cannot be read: File name too long"),
        (("--formats", "jpg"), "'bmp' or 'tiff'\n"),
        (("--port", "70000"), "setting port = '70000'"),
        (("--provider", "cuda"), "has no CUDAExecutionProvider: install the `gpu` extra"),
        (("--provider", "tensorrt"), "TensorRT's libraries"),
        (("--buckets", "513"), "setting buckets.0 = '513': '513' is not WIDTHxHEIGHT"),
        (("--buckets", "513x513,100x100"), "sides of 100x100 are not both a multiple of 16 plus 1"),
        (("--max-delay", "-1"), "max_delay"),
        (("--api-keys", ""), "setting api_keys = '': name a path, or leave the setting out"),
        (("--max-bytes", "-1"), "max_bytes"),
        (("--host", "a" * 300), "cannot listen on"),
        (("--threads", "9" * 20), "threads"),
        (("--drain-timeout", "inf"), "drain_timeout"),
    ],
)
def test_a_bad_start_is_explained_in_one_line(flags: tuple[str, ...], what: str) -> None:
    free_port = {**os.environ, "DEEPLAB_PORT": "0"}
    done = subprocess.run(
        [SERVE, *flags], env=free_port, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert what in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_used_port_is_explained() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run([SERVE, "--port", port], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_model_that_does_not_run_ends_the_service(tmp_path: Path) -> None:
    model = onnx.load(BUILT_IN_MODEL)
    for tensor in model.graph.initializer:
        if list(tensor.dims) == [11]:
            # A bias for ten classes goes unnoticed until the model runs.
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.zeros(10, np.float32), tensor.name))
    path = tmp_path / "broken.onnx"
    onnx.save(model, path)
    done = subprocess.run(
        [SERVE, "--port", "0", "--model", path, "--drain-delay", "3000"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert f"the model {path} does not run" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_service_needs_no_torch_and_no_other_room() -> None:
    blocked = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "onnx", "model", "export", "tqdm"}:
            raise ImportError(name)
sys.meta_path.insert(0, Block())
import service.cli
"""
    subprocess.run([sys.executable, "-c", blocked], check=True, timeout=60)


def imports(room: str) -> set[str]:
    """Packages that the files of a room import."""
    import ast

    found = set()
    root = Path(__file__).parents[2]
    for path in (root / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
    return found


def test_rooms_keep_to_what_they_may_import() -> None:
    assert {"export", "service"}.isdisjoint(imports("model"))
    assert "service" not in imports("export")
    assert {"model", "export", "torch"}.isdisjoint(imports("service"))
    assert {"fastapi", "starlette", "uvicorn"}.isdisjoint(imports("service/engine"))
    assert "onnxruntime" not in imports("service/http")


def test_nobody_is_told_of_its_use(tmp_path: Path) -> None:
    """The packages of onnxruntime keep a device's id and their reports in the user's home."""
    environment = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    with serving(*FAST, environment=environment) as running:
        assert running.post("/v1/mask", content=JPEG).status_code == 200
    assert not list(tmp_path.rglob("*"))
