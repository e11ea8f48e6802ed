"""What FastAPI's own support for OpenTelemetry does here."""

from __future__ import annotations

from fastapi.telemetry import TelemetryConfig

from service.http.record import PROBES
from service.traces import Traces


def telemetry(traces: Traces | None) -> TelemetryConfig:
    """Spans of requests, if anything: metrics are Prometheus's, and logs have lines of their own.

    A span holds the method, path, query, status and times; nothing of a body.
    """
    return {
        "tracing": traces is not None,
        "tracer_provider": traces and traces.provider,
        "operation_spans": False,
        "metrics": False,
        "logs": False,
        "auto_configure": False,
        "exclude": lambda scope: scope.get("path") in PROBES,
    }
