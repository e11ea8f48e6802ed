"""The share of its machine that a replica may use."""

from __future__ import annotations

from typing import Any, cast

import ray

from service.engine.providers import choose_provider
from service.settings import Settings


def processors() -> float:
    """How many this replica was given."""
    given = cast(Any, ray.get_runtime_context()).get_assigned_resources()
    return float(given.get("CPU", 1))


def engine_settings(settings: Settings, share: float) -> Settings:
    """Settings of an engine that has so many processors of its machine.

    Measured at start, a model on a CPU would take all of them, and so would its neighbour.
    """
    fixed = settings.sessions or settings.threads
    if fixed or choose_provider(settings.provider) not in ("cpu", "openvino"):
        return settings
    return settings.model_copy(update={"sessions": max(1, int(share)), "threads": 1})


def http_settings(settings: Settings, share: float) -> Settings:
    """Settings of a replica that decodes and encodes on so many processors of its machine."""
    if "image_threads" in settings.model_fields_set:
        return settings
    return settings.model_copy(update={"image_threads": max(1, int(share))})
