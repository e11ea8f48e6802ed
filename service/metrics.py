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
    Info,
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
DROPPED = (
    "malformed",
    "head_timeout",
    "head_too_large",
    "body_not_wanted",
    "answer_not_read",
    "too_many",
)
"""Why a connection is cut."""


class Metrics:
    """The metrics of one application, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.requests = Counter(
            "deeplab_requests",
            "Requests that have ended; status 499 is a client that hung up. The reason is why "
            "there was no answer, empty if there was one.",
            ("route", "status", "reason"),
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
        self.pictures = self._by_model("pictures", "Pictures that were answered.")
        self.pixels = self._by_model("pixels", "Their pixels.")
        self.several = Counter(
            "deeplab_several_pictures",
            "Pictures of requests that brought several, by how each was answered.",
            ("status", "reason"),
            registry=self.registry,
        )
        self.upload_bytes = self._counter("upload_bytes", "Bytes of request bodies.")
        self.answer_bytes = self._counter("answer_bytes", "Bytes of answers' bodies.")
        self.ready = self._gauge("ready", "1 if pictures should be sent here.")
        self.alive = self._gauge("alive", "1 if the model runs, as far as is known.")
        self.held_bytes = self._gauge(
            "held_bytes", "Bytes of uploads and unread answers in memory."
        )
        self.held_bytes_limit = self._gauge("held_bytes_limit", "Their limit.")
        self.models_failed = self._gauge(
            "models_failed", "Files in the folder of models that could not be loaded."
        )
        self.connections = self._gauge("connections", "Open connections.")
        self.connections_dropped = Counter(
            "deeplab_connections_dropped",
            "Connections that were cut, by why.",
            ("reason",),
            registry=self.registry,
        )
        for reason in DROPPED:
            self.connections_dropped.labels(reason)
        self.batch_size = Histogram(
            "deeplab_batch_size",
            "Pictures that were computed together.",
            ("model", "bucket"),
            buckets=BATCH_BUCKETS,
            registry=self.registry,
        )
        self.build = Info("deeplab_build", "What serves.", registry=self.registry)

    def _by_model(self, name: str, text: str) -> Counter:
        return Counter(f"deeplab_{name}", text, ("model",), registry=self.registry)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(f"deeplab_{name}", text, registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"deeplab_{name}", text, registry=self.registry)

    def observe_batch(self, model: str, bucket: Bucket, size: int) -> None:
        """Count one run of a model."""
        self.batch_size.labels(model, str(bucket)).observe(size)

    def count_picture(self, model: str, pixels: int) -> None:
        """Count a picture that was answered."""
        self.pictures.labels(model).inc()
        self.pixels.labels(model).inc(pixels)

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
