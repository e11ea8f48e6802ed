"""Metrics that show how things stand when they are asked for, rather than count."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import version

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.engine.providers import RUNTIME_VERSION
from service.gpu_metrics import gpu_collector
from service.house import House
from service.http.connections import Connections
from service.lifecycle import Lifecycle
from service.metrics import Metrics
from service.pipeline import Pipeline
from service.repository.models import Models
from service.repository.repository import Repository
from service.settings import Settings

BY_MODEL: dict[str, tuple[str, Callable[[Pipeline], float]]] = {
    "queue_depth": ("Requests that wait or are being answered.", lambda p: p.line.inside),
    "queue_limit": ("Their limit.", lambda p: p.line.limit),
    "expected_wait_seconds": (
        "Time until all of them are answered, at the measured rate.",
        lambda p: p.line.expected_wait,
    ),
    "capacity": (
        "Pictures that can be computed at the same time.",
        lambda p: p.engine.capacity,
    ),
    "longest_run_seconds": (
        "Age of the batch that has been computing the longest; 0 if none.",
        lambda p: p.engine.longest_run,
    ),
    "model_memory_bytes": (
        "What the process grew by when the model was loaded and warmed.",
        lambda p: p.engine.memory_bytes,
    ),
}
"""Gauges that each loaded version of a model has."""
INFO = ("model", "version", "digest", "provider", "backbone", "quality", "source_revision")


class LoadedModels(Collector):
    """One series for each version that is loaded at the time of asking."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def collect(self) -> Iterator[Metric]:
        pipelines = list(self._models)
        for name, (text, value) in BY_MODEL.items():
            family = GaugeMetricFamily(f"deeplab_{name}", text, labels=("model", "version"))
            for pipeline in pipelines:
                engine = pipeline.engine
                family.add_metric([engine.card.name, str(engine.version)], value(pipeline))
            yield family
        info = GaugeMetricFamily(
            "deeplab_model_info",
            "A loaded model; always 1. The digest is the beginning of the file's SHA-256.",
            labels=INFO,
        )
        quality = GaugeMetricFamily(
            "deeplab_model_quality_ratio",
            "What was measured of a model's quality.",
            labels=("model", "version", "metric"),
        )
        for pipeline in pipelines:
            engine, measured = pipeline.engine, pipeline.engine.card.quality
            name, number = engine.card.name, str(engine.version)
            words = "" if measured.value is None else f"{measured.metric} {measured.value:.4f}"
            card = engine.card
            info.add_metric(
                [
                    name,
                    number,
                    engine.digest,
                    engine.provider,
                    card.backbone,
                    words,
                    card.source_revision,
                ],
                1,
            )
            if measured.value is not None:
                quality.add_metric([name, number, measured.metric], measured.value)
        yield from (info, quality)


def watch(
    metrics: Metrics,
    models: Models,
    repository: Repository | None,
    house: House,
    settings: Settings,
    lifecycle: Lifecycle,
    connections: Connections,
) -> None:
    """Tie every gauge to what it shows, and fill in what never changes."""
    metrics.build.info({"version": version("deeplab-serve"), "onnxruntime": RUNTIME_VERSION})
    if models.provider in ("cuda", "tensorrt") and (gpus := gpu_collector()):
        metrics.registry.register(gpus)
    metrics.registry.register(LoadedModels(models))
    metrics.held_bytes_limit.set(settings.queue_bytes)
    metrics.ready.set_function(lambda: models.state == "ready" and lifecycle.stage == "serving")
    metrics.alive.set_function(lambda: models.alive)
    metrics.held_bytes.set_function(lambda: house.held_bytes)
    metrics.connections.set_function(lambda: len(connections.open))
    metrics.models_failed.set_function(lambda: len(repository.failures) if repository else 0)
