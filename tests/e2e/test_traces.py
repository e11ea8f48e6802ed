"""Traces, as a collector receives them over OTLP/HTTP."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from itertools import pairwise

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from service.errors import StartError
from service.traces import wanted
from tests.e2e.conftest import FAST, serving
from tests.listening import listening
from tests.service import pictures

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
JPEG = pictures.encoded(pictures.photo(80, 60), "JPEG", comment="a secret place")


@dataclass
class Collector:
    """What it was sent, and where it listens."""

    url: str
    paths: set[str] = field(default_factory=set)
    bodies: list[bytes] = field(default_factory=list)
    services: set[str] = field(default_factory=set)
    spans: list[Span] = field(default_factory=list)


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            request = ExportTraceServiceRequest.FromString(body)
            for part in request.resource_spans:
                for attribute in part.resource.attributes:
                    if attribute.key == "service.name":
                        collector.services.add(attribute.value.string_value)
                for scope in part.scope_spans:
                    collector.spans.extend(scope.spans)
            collector.paths.add(self.path)
            collector.bodies.append(body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    with listening(Handler) as url:
        collector = Collector(url)
        yield collector


def attributes(span: Span) -> dict[str, str]:
    return {
        item.key: item.value.string_value or str(item.value.int_value) for item in span.attributes
    }


@pytest.fixture(scope="module")
def collected() -> Iterator[Collector]:
    """What a server sends for one mask, one refusal and some probes, until it has stopped."""
    with collecting() as collector:
        with serving(*FAST, environment={ENDPOINT: collector.url}) as running:
            headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
            assert running.post("/v1/mask", content=JPEG, headers=headers).status_code == 200
            assert running.post("/v1/mask?model=none", content=JPEG).status_code == 404
            for path in ("/healthz", "/readyz", "/metrics"):
                assert running.get(path).status_code == 200
        yield collector


def test_a_request_continues_the_trace_that_it_belongs_to(collected: Collector) -> None:
    assert collected.paths == {"/v1/traces"}
    assert collected.services == {"deeplab-serve"}
    (span,) = (s for s in collected.spans if s.parent_span_id.hex() == PARENT)
    assert span.trace_id.hex() == TRACE
    assert span.name == "POST /v1/mask"
    assert span.kind == Span.SPAN_KIND_SERVER
    assert attributes(span)["http.response.status_code"] == "200"


def test_its_stages_are_spans_within_it(collected: Collector) -> None:
    (whole,) = (s for s in collected.spans if s.parent_span_id.hex() == PARENT)
    parts = [s for s in collected.spans if s.parent_span_id == whole.span_id]
    assert {part.trace_id.hex() for part in parts} == {TRACE}
    assert {part.name for part in parts} == {"read", "decode", "queue", "infer", "encode"}
    slack = 5_000_000  # ns that two clocks may differ by
    for part in parts:
        assert whole.start_time_unix_nano - slack <= part.start_time_unix_nano
        assert part.start_time_unix_nano <= part.end_time_unix_nano
        assert part.end_time_unix_nano <= whole.end_time_unix_nano + slack
    once = {p.name: p for p in parts if p.name != "queue"}
    order = [once[name] for name in ("read", "decode", "infer", "encode")]
    for earlier, later in pairwise(order):
        assert earlier.end_time_unix_nano <= later.start_time_unix_nano + slack


def test_a_refusal_is_a_trace_of_its_own_and_probes_are_none(collected: Collector) -> None:
    servers = [s for s in collected.spans if s.kind == Span.SPAN_KIND_SERVER]
    assert len(servers) == 2
    (refused,) = (s for s in servers if not s.parent_span_id)
    assert attributes(refused)["http.response.status_code"] == "404"
    assert refused.trace_id.hex() != TRACE


def test_nothing_of_a_picture_is_in_a_trace(collected: Collector) -> None:
    sent = b"".join(collected.bodies)
    assert b"/v1/mask" in sent
    assert b"secret" not in sent
    assert JPEG[200:232] not in sent


def test_a_caller_that_does_not_sample_is_heeded() -> None:
    with collecting() as collector:
        with serving(*FAST, environment={ENDPOINT: collector.url}) as running:
            headers = {"traceparent": f"00-{TRACE}-{PARENT}-00"}
            answer = running.post("/v1/mask", content=JPEG, headers=headers)
            assert answer.status_code == 200
        assert collector.spans == []


@pytest.mark.parametrize(
    "off", [{}, {"OTEL_TRACES_EXPORTER": "none"}, {"OTEL_SDK_DISABLED": "true"}]
)
def test_nothing_is_exported_unless_it_is_asked_for(off: dict[str, str]) -> None:
    with collecting() as collector:
        environment = {**off, ENDPOINT: collector.url} if off else {}
        with serving(*FAST, environment=environment) as running:
            assert running.post("/v1/mask", content=JPEG).status_code == 200
        assert collector.bodies == []


def test_a_collector_that_is_not_there_holds_nobody_up() -> None:
    with serving(*FAST, environment={ENDPOINT: "http://127.0.0.1:9"}) as running:
        for _ in range(3):
            assert running.post("/v1/mask", content=JPEG).status_code == 200
        running.process.terminate()
        assert running.process.wait(30) == 0


BLOCKED = f"""
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name in {{"opentelemetry.sdk", "opentelemetry.exporter"}}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Block())
import os
os.environ[{ENDPOINT!r}] = "http://127.0.0.1:4318"
sys.argv = ["deeplab-serve", "--port", "0"]
from service.cli import main
main()
"""


def test_missing_packages_are_told_in_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "install the `traces` extra" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("environment", "what"),
    [
        ({ENDPOINT: "collector:4318"}, "is not a URL"),
        ({ENDPOINT: "http://c", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http/protobuf is"),
        ({ENDPOINT: "http://c", "OTEL_TRACES_EXPORTER": "console"}, "otlp and none are"),
    ],
)
def test_what_cannot_be_exported_to_is_refused(environment: dict[str, str], what: str) -> None:
    with pytest.raises(StartError, match=what):
        wanted(environment)


def test_either_variable_is_heeded() -> None:
    assert wanted({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://collector/v1/traces"})
    assert wanted({ENDPOINT: "http://collector:4318", "OTEL_TRACES_EXPORTER": "otlp"})
    assert not wanted({})
