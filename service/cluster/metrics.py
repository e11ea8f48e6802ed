"""The metrics of an engine's replica."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge

from service.engine.engine import Engine
from service.metrics import Metrics

WATCHED: dict[str, tuple[str, Callable[[Engine], float]]] = {
    "waiting": ("Pictures that wait for a batch.", lambda engine: engine.waiting),
    "wait_seconds": (
        "Time until those that wait are computed, at the measured rate.",
        lambda engine: engine.estimate(engine.waiting),
    ),
    "busy": ("Share of the runners that compute a batch.", lambda engine: engine.busy),
    "capacity": (
        "Pictures that can be computed at the same time.",
        lambda engine: engine.capacity,
    ),
    "longest_run_seconds": (
        "Age of the batch that has been computing the longest; 0 if none.",
        lambda engine: engine.longest_run,
    ),
}


class EngineMetrics:
    """What a replica shows of its engine, in a registry of its own."""

    def __init__(self) -> None:
        self.common = Metrics()
        """Those of a single server, of which the sizes of batches are counted here."""
        self.registry = CollectorRegistry()
        self.registry.register(self.common.batch_size)
        self.refusals = Counter(
            "deeplab_engine_refusals",
            "Pictures that were not computed, by why.",
            ("reason",),
            registry=self.registry,
        )

    def watch(self, engine: Engine) -> None:
        """Show how an engine stands whenever it is asked for."""
        for name, (text, value) in WATCHED.items():
            gauge = Gauge(f"deeplab_engine_{name}", text, registry=self.registry)
            gauge.set_function(partial(value, engine))
