"""How things stand at the moment that Prometheus asks."""

from __future__ import annotations

from importlib.metadata import version

from service.engine.providers import RUNTIME_VERSION
from service.gpu_metrics import gpu_collector
from service.http.connections import Connections
from service.lifecycle import Lifecycle
from service.metrics import Metrics
from service.pipeline import Pipeline
from service.settings import Settings


def watch(
    metrics: Metrics,
    pipeline: Pipeline,
    settings: Settings,
    lifecycle: Lifecycle,
    connections: Connections,
) -> None:
    """Tie every gauge to what it shows, and fill in what never changes."""
    engine, house = pipeline.engine, pipeline.house
    metrics.build.info({"version": version("deeplab-serve"), "onnxruntime": RUNTIME_VERSION})
    card, quality = engine.card, engine.card.quality
    measured = "" if quality.value is None else f"{quality.metric} {quality.value:.4f}"
    metrics.model_info.labels(
        card.name, engine.version, engine.provider, card.backbone, measured, card.source_revision
    ).set(1)
    if quality.value is not None:
        metrics.model_quality.labels(card.name, quality.metric).set(quality.value)
    if engine.provider in ("cuda", "tensorrt") and (gpus := gpu_collector()):
        metrics.registry.register(gpus)
    metrics.queue_limit.set(settings.queue_limit)
    metrics.held_bytes_limit.set(settings.queue_bytes)
    metrics.ready.set_function(lambda: engine.ready and lifecycle.stage == "serving")
    metrics.alive.set_function(lambda: engine.alive)
    metrics.queue_depth.set_function(lambda: house.inside)
    metrics.expected_wait.set_function(lambda: house.expected_wait)
    metrics.held_bytes.set_function(lambda: house.held_bytes)
    metrics.capacity.set_function(lambda: engine.capacity)
    metrics.longest_run.set_function(lambda: engine.longest_run)
    metrics.connections.set_function(lambda: len(connections.open))
