"""Every metric of the service, with its buckets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from opentelemetry.context import get_current
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from service.bucket import Bucket
from service.traces import record_stage

# A creation time per series says nothing that Prometheus does not know.
disable_created_metrics()  # type: ignore[no-untyped-call]

REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 30)
STAGE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64)
STAGES = ("read", "decode", "queue", "infer", "encode")


class Metrics:
    """The metrics of one application, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.requests = Counter(
            "deeplab_requests",
            "Answered requests; status 499 is a client that hung up.",
            ("route", "status"),
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "deeplab_request_seconds",
            "Time from a request's first byte to its answer's last.",
            ("route", "status"),
            buckets=REQUEST_BUCKETS,
            registry=self.registry,
        )
        self.stage_seconds = Histogram(
            "deeplab_stage_seconds",
            "Time that a picture spends in a stage.",
            ("stage",),
            buckets=STAGE_BUCKETS,
            registry=self.registry,
        )
        for stage in STAGES:
            self.stage_seconds.labels(stage)
        self.queue_depth = Gauge(
            "deeplab_queue_depth",
            "Requests that wait or are being answered.",
            registry=self.registry,
        )
        self.expected_wait = Gauge(
            "deeplab_expected_wait_seconds",
            "Time until all of them are answered, at the measured rate.",
            registry=self.registry,
        )
        self.batch_size = Histogram(
            "deeplab_batch_size",
            "Pictures that were computed together.",
            ("bucket",),
            buckets=BATCH_BUCKETS,
            registry=self.registry,
        )
        self.model_info = Gauge(
            "deeplab_model_info",
            "The loaded model; always 1.",
            ("model", "provider", "backbone", "source_revision"),
            registry=self.registry,
        )

    def observe_batch(self, bucket: Bucket, size: int) -> None:
        """Count one run of the model."""
        self.batch_size.labels(str(bucket)).observe(size)

    def observe(self, stages: Stages) -> None:
        """Count one request's stages."""
        for stage, seconds in list(stages.seconds.items()):
            self.stage_seconds.labels(stage).observe(seconds)

    def render(self) -> bytes:
        """The metrics in Prometheus's text format."""
        return generate_latest(self.registry)


class Stages:
    """The seconds that one request spends in each stage; "queue" is all its waiting."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        # Most stages end in a thread that knows nothing of the request.
        self._context = get_current()

    def add(self, stage: str, seconds: float, ago: float = 0.0) -> None:
        """Count and trace a stage, or a part of it, that ended so many seconds ago."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
        record_stage(stage, seconds, ago, self._context)

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        started = perf_counter()
        try:
            yield
        finally:
            self.add(stage, perf_counter() - started)

    @property
    def server_timing(self) -> str:
        """The `Server-Timing` header: milliseconds per stage."""
        return ", ".join(
            f"{stage};dur={self.seconds[stage] * 1e3:.1f}"
            for stage in STAGES
            if stage in self.seconds
        )
