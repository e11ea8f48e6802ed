"""Metrics of the service on the port where Ray shows its own, with the replica's name."""

from __future__ import annotations

from typing import Any, cast

from prometheus_client import CollectorRegistry
from ray.serve.metrics import Gauge

PREFIX = "deeplab_"


class Exported:
    """Copies a registry's metrics to Ray's; Ray puts `ray_` before their names.

    All are gauges to Ray, counters and the buckets of histograms too: their values are the
    same, and that is what Prometheus computes with.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._gauges: dict[str, Gauge] = {}

    def push(self) -> None:
        """Copy the values of now."""
        for family in self._registry.collect():
            if not family.name.startswith(PREFIX):
                continue
            for sample in family.samples:
                gauge = self._gauges.get(sample.name)
                if gauge is None:
                    keys = cast(Any, tuple(sample.labels))
                    gauge = Gauge(sample.name, family.documentation, keys)
                    self._gauges[sample.name] = gauge
                gauge.set(sample.value, dict(sample.labels))
