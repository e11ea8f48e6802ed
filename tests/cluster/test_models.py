"""Which model requests mean, and which replicas their pictures go to."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ray.serve._private.common import DeploymentID
from ray.serve.exceptions import DeploymentUnavailableError

from service.cluster.asking import Replicas
from service.cluster.current import Current
from service.cluster.ingress import Ingress
from service.cluster.messages import Here
from service.cluster.router import ByModel
from service.errors import (
    UnknownModel,
)
from service.repository.models import Models
from tests.cluster.replies import ABOUT, LOST, Handle
from tests.service.models import WIDE


def test_requests_find_the_model_of_the_replica_that_answered_last() -> None:
    new = replace(ABOUT, digest="that")
    resized = replace(ABOUT, buckets=(WIDE,))
    moved = replace(ABOUT, sessions=5)
    renamed = replace(ABOUT, digest="other", card=ABOUT.card.model_copy(update={"name": "other"}))

    async def follow() -> None:
        models = Models(lambda engine: cast(Any, SimpleNamespace(engine=engine)), "cpu", None)
        current = Current(Replicas(Handle(Here("a", ABOUT))))
        first = models.put(await current.first())
        models.settled.set()
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
