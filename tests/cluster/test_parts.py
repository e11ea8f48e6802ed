"""The parts of the service on a cluster, each by itself and without one."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import time
import warnings
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import yaml
from ray.exceptions import ActorUnavailableError, OutOfMemoryError
from ray.serve._private.common import DeploymentID
from ray.serve.config import AutoscalingConfig
from ray.serve.exceptions import DeploymentUnavailableError
from ray.serve.schema import DeploymentSchema, ServeApplicationSchema, ServeDeploySchema
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from service.cluster.again import Again
from service.cluster.application import settings_of
from service.cluster.asking import Replicas
from service.cluster.autoscaling import ByWait, replicas
from service.cluster.current import Current
from service.cluster.edge import Edge
from service.cluster.ingress import Ingress
from service.cluster.messages import About, Computed, Here, Refused, Reply
from service.cluster.metrics import EngineMetrics
from service.cluster.remote import RemoteEngine
from service.cluster.replica import Replica
from service.cluster.router import ByModel
from service.cluster.shares import engine_settings, http_settings
from service.engine.engine import Engine
from service.engine.session import Session
from service.engine.waiting import Answer
from service.errors import (
    DeadlinePassed,
    EngineFailed,
    InvalidParameter,
    RequestError,
    StartError,
    Unavailable,
    UnknownModel,
)
from service.http.problems import problem
from service.http.record import begin
from service.logs import formatter
from service.repository.models import Models
from service.settings import BUILT_IN_MODEL, Settings
from tests.cluster.conftest import SERVE_FILE
from tests.pages import ROOT, Page
from tests.service.models import SMALL, WIDE, held_engine, image, later

ABOUT = About(
    card=Session(BUILT_IN_MODEL, "cpu").card,
    digest="this",
    version=1,
    buckets=(SMALL,),
    has_confidence=False,
    provider="cpu",
    memory_bytes=0,
    sessions=2,
    max_batch=3,
    threads=1,
)
ANSWER = Answer(np.zeros(SMALL, np.uint8), None, 0.0, 0.0, 1)
LOST = ActorUnavailableError("gone", b"0" * 16)


class Asked:
    """A call of a replica, as Ray's handle makes it."""

    def __init__(self, reply: Reply | Exception | None) -> None:
        self.cancelled = False
        self._reply = reply

    def __await__(self) -> Any:
        return self._answer().__await__()

    async def _answer(self) -> Reply:
        if self._reply is None:
            await asyncio.sleep(60)
        if isinstance(self._reply, Exception):
            raise self._reply
        return cast(Reply, self._reply)

    def cancel(self) -> None:
        self.cancelled = True


class Handle:
    """Ray's handle of an engine that replies as it is told."""

    def __init__(self, *replies: Reply | Exception | None) -> None:
        self.calls: list[Asked] = []
        self.seconds: list[float] = []
        self.avoided: list[str] = []
        self._replies = list(replies)
        self.infer = self.describe = SimpleNamespace(remote=self._ask)

    def _ask(self, *given: Any, **named: Any) -> Asked:
        self.seconds += given[1:2]
        self.avoided += [named["avoid"]] if "avoid" in named else []
        self.calls.append(Asked(self._replies.pop(0)))
        return self.calls[-1]


async def infer(handle: Handle, deadline: float) -> Reply:
    return await Replicas(handle).infer(image(), deadline, False, "this")


@pytest.mark.parametrize(
    ("trouble", "avoided"),
    [
        (LOST, ""),
        (cast(Any, OutOfMemoryError)("killed by Ray"), ""),
        (Refused("out of memory", "broken", 1, "a"), "a"),
    ],
)
def test_a_lost_replica_costs_a_second_try(trouble: Reply | Exception, avoided: str) -> None:
    answered = Computed("b", ANSWER)
    handle = Handle(trouble, answered)
    assert asyncio.run(infer(handle, later())) is answered
    assert handle.seconds[1] <= handle.seconds[0] <= 60
    assert handle.avoided == ["", avoided]
    twice = Handle(trouble, trouble)
    refused = asyncio.run(infer(twice, later()))
    assert isinstance(refused, Refused)
    assert (refused.reason, refused.retry_after) == ("broken", 1)


def test_no_second_try_without_time() -> None:
    handle = Handle(LOST)

    async def late() -> None:
        with pytest.raises(DeadlinePassed):
            await infer(handle, time.monotonic() - 1)

    asyncio.run(late())
    assert handle.calls == []


def test_an_ordinary_refusal_is_final() -> None:
    full = Refused("16 pictures are waiting already", "queue_full", 2.5)
    handle = Handle(full)
    assert asyncio.run(infer(handle, later())) is full


def test_a_picture_that_nobody_waits_for_is_given_up() -> None:
    handle = Handle(None)

    async def leave() -> None:
        engine = RemoteEngine(ABOUT, Replicas(handle), lambda about: None)
        waiting = asyncio.wrap_future(engine.submit(image(), later()))
        while not handle.calls:
            await asyncio.sleep(0)
        waiting.cancel()
        while not handle.calls[0].cancelled:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(leave(), 20))


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("full", "queue_full", 2.5),
        Unavailable("no time", "no_time", 0.5),
        DeadlinePassed("late"),
        EngineFailed("a bad picture"),
        InvalidParameter("confidence: no"),
    ],
)
def test_refusals_are_the_same_on_both_sides(error: RequestError) -> None:
    told = Refused.of(error).error()
    assert type(told) is type(error)
    assert (str(told), told.reason) == (str(error), error.reason)
    if isinstance(error, Unavailable):
        assert isinstance(told, Unavailable)
        assert told.retry_after == error.retry_after


def test_an_engine_elsewhere_is_there_once_it_is_heard_of() -> None:
    async def hear() -> None:
        handle = Handle(Here("a", ABOUT), Computed("b", ANSWER), Here("c", ABOUT))
        here = Replicas(handle)
        engine = RemoteEngine(ABOUT, here, met.append)
        assert (engine.state, engine.capacity) == ("warming up", 6)
        await here.describe()
        assert (engine.state, engine.capacity) == ("ready", 6)
        answer = await asyncio.wrap_future(engine.submit(image(), later()))
        assert engine.capacity == 12
        assert (answer.mask == ANSWER.mask).all()
        with pytest.raises(Unavailable) as changed:
            await asyncio.wrap_future(engine.submit(image(), later()))
        assert changed.value.reason == "model_changed"
        with pytest.raises(InvalidParameter, match="cannot tell how sure it is"):
            engine.submit(image(), later(), confidence=True)

    met: list[About] = []
    asyncio.run(hear())
    assert met == [ABOUT]


def test_requests_find_the_model_of_the_replica_that_answered_last() -> None:
    new = replace(ABOUT, digest="that")
    resized = replace(ABOUT, buckets=(WIDE,))
    moved = replace(ABOUT, sessions=5)
    renamed = replace(ABOUT, digest="other", card=ABOUT.card.model_copy(update={"name": "other"}))

    async def follow() -> None:
        models = Models(lambda engine: cast(Any, SimpleNamespace(engine=engine)), "cpu", None)
        current = Current(Replicas(Handle(Here("a", ABOUT))))
        first = models.put(await current.first())
        watching = asyncio.create_task(current.watch(models))
        await asyncio.sleep(0)
        found = []
        for about in (ABOUT, new, ABOUT, new, resized, moved, renamed):
            current.meet(about)
            (pipeline,) = models
            assert pipeline.engine.placement == about
            found.append(pipeline)
        assert found[0] is found[2] is first, "its line knows who waits in it"
        assert found[1] is found[3]
        assert found[4] is not found[5] is first
        assert models.find("other") is found[6]
        with pytest.raises(UnknownModel):
            models.find(ABOUT.card.name)
        watching.cancel()

    asyncio.run(follow())


@pytest.mark.parametrize("trouble", [LOST, DeploymentUnavailableError(DeploymentID("Engine"))])
def test_replicas_are_followed_after_none_was_left(
    trouble: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.cluster.current.LOOK_UP", 0)
    new = replace(ABOUT, digest="that")

    async def follow() -> None:
        models = Models(lambda engine: cast(Any, SimpleNamespace(engine=engine)), "cpu", None)
        current = Current(Replicas(Handle(Here("a", ABOUT), trouble, Here("b", new), None)))
        models.put(await current.first())
        watching = asyncio.create_task(current.watch(models))
        while [pipeline.engine.digest for pipeline in models] != ["that"]:
            assert not watching.done()
            await asyncio.sleep(0.01)
        watching.cancel()

    asyncio.run(asyncio.wait_for(follow(), 20))


def test_a_replica_that_follows_no_more_is_not_well() -> None:
    async def ended() -> None:
        raise KeyError("a fault")

    async def look() -> None:
        ingress = Ingress.__new__(Ingress)
        following = asyncio.create_task(asyncio.sleep(60))
        ingress._tasks = [following]
        ingress.check_health()
        ingress._tasks.append(asyncio.create_task(ended(), name="looking for models"))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="looking for models has ended"):
            ingress.check_health()
        following.cancel()

    asyncio.run(look())


def test_pictures_go_to_replicas_that_have_their_model() -> None:
    there = [
        SimpleNamespace(
            replica_metadata={"key": name[0]}, replica_id=SimpleNamespace(unique_id=name)
        )
        for name in ("a1", "a2", "b1")
    ]
    context = SimpleNamespace(should_backoff=False)

    def chosen(key: str, broken: str = "") -> set[str]:
        asked = SimpleNamespace(kwargs={"key": key, "avoid": broken}, routing_context=context)
        choose = ByModel.choose_replicas(cast(Any, None), cast(Any, there), cast(Any, asked))
        return {replica.replica_id.unique_id for replica in asyncio.run(choose)[0]}

    assert chosen("a") == {"a1", "a2"}
    assert chosen("a", broken="a1") == {"a2"}
    assert chosen("b") == chosen("b", broken="b1") == {"b1"}
    assert chosen("gone") <= {"a1", "a2", "b1"}
    assert context.should_backoff


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


def test_the_file_for_deploying_is_what_ray_expects() -> None:
    config = yaml.safe_load(SERVE_FILE.read_text())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (application,) = ServeDeploySchema.model_validate(config).applications
    assert [deployment.name for deployment in application.deployments] == ["Http", "Engine"]
    assert settings_of(application.args).log_format == "json"
    # Ray ignores what it does not know.
    assert config.keys() <= ServeDeploySchema.model_fields.keys()
    assert config["applications"][0].keys() <= ServeApplicationSchema.model_fields.keys()
    for deployment in config["applications"][0]["deployments"]:
        assert deployment.keys() <= DeploymentSchema.model_fields.keys()
        scaling = deployment.get("autoscaling_config", {})
        assert scaling.keys() <= AutoscalingConfig.model_fields.keys()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"port": 80}, "setting port has no meaning in a cluster: Ray's proxy"),
        ({"drain_delay": 5}, "graceful_shutdown_timeout_s"),
        ({"models": "/models"}, "a cluster serves one model"),
        ({"queue_limit": 0}, "setting queue_limit = 0"),
        ({"bukets": "129x129"}, "bukets"),
    ],
)
def test_settings_that_cannot_be_met_are_refused(args: dict[str, Any], words: str) -> None:
    with pytest.raises(StartError, match=words):
        settings_of(args)


def test_the_commands_of_the_page_name_what_there_is() -> None:
    commands = [command.split() for command in Page("docs/cluster.md").commands("serve")]
    (run,) = (words for words in commands if words[1] == "run")
    module, _, name = run[2].partition(":")
    assert callable(getattr(importlib.import_module(module), name))
    args = dict(word.split("=") for word in run[3:])
    assert [str(bucket) for bucket in settings_of(args).buckets] == ["513x513"]
    deployed = {words[-1] for words in commands if words[1] == "deploy"}
    assert deployed == {str(SERVE_FILE.relative_to(ROOT))}


def test_paths_hold_in_every_working_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings_of({"model": "streets.onnx"}).model == Path.cwd() / "streets.onnx"
    monkeypatch.setenv("DEEPLAB_MODELS", "models")
    with pytest.raises(StartError, match="DEEPLAB_MODELS is set: a cluster serves one model"):
        settings_of({})


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


def settings(**values: Any) -> Settings:
    return Settings(**values)


def test_a_replica_uses_the_processors_it_was_given() -> None:
    engine = engine_settings(settings(provider="cpu"), 4.0)
    assert (engine.sessions, engine.threads) == (4, 1)
    chosen = engine_settings(settings(provider="cpu", threads=2), 4.0)
    assert (chosen.sessions, chosen.threads) == (0, 2)
    assert http_settings(settings(), 0.5).image_threads == 1
    assert http_settings(settings(image_threads=3), 8.0).image_threads == 3


Application = Callable[[Scope, Receive, Send], Awaitable[None]]


async def call(app: Application, body: list[Message]) -> list[Message]:
    """What an application sends to a request."""
    scope: Scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    begin(scope)
    sent: list[Message] = []
    left = list(body)

    async def receive() -> Message:
        return left.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


def test_a_request_begins_again_when_its_model_was_replaced() -> None:
    bodies, timeouts = [], []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        parts = [(await receive())["body"] for _ in range(2)]
        bodies.append(b"".join(parts))
        timeouts.append(dict(scope["headers"]).get(b"x-request-timeout"))
        await asyncio.sleep(0.01)
        changed = len(bodies) == 1
        answer = problem(503, "model_changed", "it was") if changed else Response(b"a mask")
        await answer(scope, receive, send)

    body: list[Message] = [
        {"type": "http.request", "body": b"half a ", "more_body": True},
        {"type": "http.request", "body": b"picture", "more_body": False},
    ]
    start, *_ = asyncio.run(call(Again(application, longest=30), body))
    assert start["status"] == 200
    assert bodies == [b"half a picture"] * 2
    assert timeouts[0] is None
    assert timeouts[1] is not None
    assert 0 < float(timeouts[1]) < 30


def test_a_model_that_changes_all_the_time_is_told_to_the_client() -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await problem(503, "model_changed", "it was")(scope, receive, send)

    start, *_ = asyncio.run(call(Again(application, longest=30), []))
    assert start["status"] == 503


def test_a_client_that_has_gone_is_told_as_such() -> None:
    heard: list[str] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        heard.append((await receive())["type"])

    async def never() -> Message:
        await asyncio.sleep(60)
        raise AssertionError

    async def leave() -> None:
        running = asyncio.create_task(
            Edge(application)({"type": "http", "headers": []}, never, cast(Any, None))
        )
        await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(leave())
    assert heard == ["http.disconnect"]


def test_an_application_that_does_not_listen_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.cluster.edge.LEAVING", 0.01)
    begun, ended = asyncio.Event(), asyncio.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async def leave() -> None:
        edge = Edge(application)({"type": "http"}, cast(Any, None), cast(Any, None))
        running = asyncio.create_task(edge)
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await asyncio.wait_for(ended.wait(), 20)

    asyncio.run(leave())


def test_lines_of_the_log_have_nothing_that_ray_notes_for_itself() -> None:
    record = logging.makeLogRecord({"msg": "ready", "_ray_timestamp_ns": 1, "model": "streets"})
    line = json.loads(formatter("json", colours=False).format(record))
    assert line["model"] == "streets"
    assert not [name for name in line if name.startswith("_")]
