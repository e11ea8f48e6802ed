"""OpenTelemetry traces, off unless its standard variables ask for them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import TracerProvider

from service.errors import StartError

SERVICE = "deeplab-serve"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
FLUSH_SECONDS = 3.0
"""What a collector that does not answer may cost at the end."""

tracer = trace.get_tracer(SERVICE)


def wanted(environment: Mapping[str, str]) -> bool:
    """Whether the environment asks for traces.

    Raises:
        StartError: it asks for what there is not.
    """
    name = next((name for name in ENDPOINTS if environment.get(name)), None)
    exporter = environment.get("OTEL_TRACES_EXPORTER") or "otlp"
    if name is None or exporter == "none" or environment.get("OTEL_SDK_DISABLED") == "true":
        return False
    if exporter != "otlp":
        raise StartError(f"OTEL_TRACES_EXPORTER={exporter} is not supported; otlp and none are")
    protocol = next((found for name in PROTOCOLS if (found := environment.get(name))), None)
    if protocol not in (None, "http/protobuf"):
        raise StartError(f"traces over {protocol} are not supported; http/protobuf is")
    url = urlsplit(environment[name])
    if url.scheme not in ("http", "https") or not url.hostname:
        raise StartError(
            f"{name}={environment[name]} is not a URL like http://collector:4318; correct it or "
            "unset it"
        )
    return True


class Traces(NamedTuple):
    """What makes spans, and what ends the making."""

    provider: TracerProvider
    stop: Callable[[float], None]
    """Exports what is left, for so many seconds and a few at most."""


def start_traces() -> Traces | None:
    """Begin to export what is traced in this process, if that is wanted.

    Raises:
        StartError: it is, and cannot be done.
    """
    if not wanted(os.environ):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk import trace as sdk
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise StartError(
            f"traces are asked for by {' or '.join(ENDPOINTS)}, but {error.name} is not installed: "
            "install the `traces` extra, or unset the variable"
        ) from error
    resource = Resource({"service.name": SERVICE}).merge(OTELResourceDetector().detect())
    provider = sdk.TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)

    def stop(timeout: float) -> None:
        # By itself it would wait half a minute for a collector that does not answer.
        last = threading.Thread(target=provider.shutdown, daemon=True)
        last.start()
        last.join(min(FLUSH_SECONDS, timeout))

    return Traces(provider, stop)


def record_stage(stage: str, seconds: float, ago: float, context: Context) -> None:
    """A span for a stage of a request that has just been left.

    Args:
        stage: its name.
        seconds: how long it took.
        ago: seconds since it ended.
        context: that of the request.
    """
    if trace.get_current_span(context).is_recording():
        end = time.time_ns() - round(ago * 1e9)
        span = tracer.start_span(stage, context, start_time=end - round(seconds * 1e9))
        span.end(end)
