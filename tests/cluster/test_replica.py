"""A replica of the engine: when it ends, what it uses, and how many there should be."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from service.cluster.autoscaling import ByWait, replicas
from service.cluster.messages import Computed, Refused
from service.cluster.metrics import EngineMetrics
from service.cluster.replica import Replica
from service.cluster.shares import engine_settings, http_settings
from service.engine.engine import Engine
from service.settings import Settings
from tests.cluster.replies import ABOUT
from tests.service.models import held_engine, image, later


def asked_replica(engine: Engine) -> Replica:
    """A replica with an engine, outside of Ray."""
    replica = Replica.__new__(Replica)
    replica._name, replica._engine, replica._about = "a", engine, ABOUT
    replica._metrics = EngineMetrics()
    replica._metrics.watch(engine)
    return replica


def test_a_replica_whose_model_breaks_sends_its_pictures_elsewhere_and_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class EndedError(Exception):
        pass

    def end(code: int) -> None:
        raise EndedError(code)

    monkeypatch.setattr("service.cluster.replica.LOOK_UP", 0.01)
    monkeypatch.setattr("service.cluster.replica.Exported.push", lambda exported: None)
    monkeypatch.setattr("os._exit", end)
    with held_engine() as (engine, session):
        replica = asked_replica(engine)
        session.gate.set()
        answered = asyncio.run(replica.infer(image(), 60, False, ABOUT.key))
        assert isinstance(answered, Computed)
        session.broken = True
        refused = asyncio.run(replica.infer(image(), 60, False, ABOUT.key))
        assert isinstance(refused, Refused)
        assert refused.reason == "broken"
        assert replica._metrics.registry.get_sample_value(
            "deeplab_engine_refusals_total", {"reason": "broken"}
        )
        with pytest.raises(RuntimeError, match="no kernel image"):
            replica.check_health()
        with pytest.raises(EndedError):
            replica._look()


def test_a_replica_tells_how_long_a_picture_would_wait() -> None:
    with held_engine() as (engine, session):
        replica = asked_replica(engine)
        assert replica.record_autoscaling_stats() == {"wait": 0.0, "busy": 0.0}
        futures = [engine.submit(image(), later()) for _ in range(3)]
        session.started.wait(60)
        said = replica.record_autoscaling_stats()
        assert said["busy"] == 1.0
        assert said["wait"] == engine.estimate(2) > 0
        session.gate.set()
        assert all(future.result() for future in futures)


@pytest.mark.parametrize(
    ("running", "waits", "busy", "wanted"),
    [
        (2, [0.0, 0.0], [0.35, 0.35], 1.0),
        (2, [3.0, 1.0], [1.0, 1.0], 4.0),
        (4, [0.1] * 4, [0.7] * 4, 4.0),
        # One has only just begun.
        (3, [2.0, 1.0], [1.0, 1.0], 3.0),
        (3, [], [], 3),
    ],
)
def test_replicas_that_a_load_needs(
    running: int, waits: list[float], busy: list[float], wanted: float
) -> None:
    assert replicas(running, waits, busy, target=1.0) == pytest.approx(wanted)


def test_the_policy_reads_what_replicas_say() -> None:
    said = {"wait": {"a": 3.0, "b": 1.0}, "busy": {"a": 1.0, "b": 1.0}}
    context = SimpleNamespace(
        aggregated_metrics=said, current_num_replicas=2, policy_state={"kept": 1}
    )
    assert ByWait(target_wait=0.5)(cast(Any, context)) == (8.0, {"kept": 1})
    context.aggregated_metrics = None
    assert ByWait()(cast(Any, context)) == (2, {"kept": 1})


def settings(**values: Any) -> Settings:
    return Settings(**values)


def test_a_replica_uses_the_processors_it_was_given() -> None:
    engine = engine_settings(settings(provider="cpu"), 4.0)
    assert (engine.sessions, engine.threads) == (4, 1)
    chosen = engine_settings(settings(provider="cpu", threads=2), 4.0)
    assert (chosen.sessions, chosen.threads) == (0, 2)
    assert http_settings(settings(), 0.5).image_threads == 1
    assert http_settings(settings(image_threads=3), 8.0).image_threads == 3
