"""Sends each picture to a replica that has the model it was made ready for."""

from __future__ import annotations

import random
from collections.abc import Callable

from ray.serve.request_router import PendingRequest, RequestRouter, RunningReplica

CHOICES = 2
"""Of so many, chosen by chance, Ray takes the one that has less to do."""


class ByModel(RequestRouter):
    """While a change of model goes round, replicas of both are there.

    Where none has the model any more, any replica is asked: it says what it has instead. One that
    is broken has less to do than the others, and would be taken again until it ends.
    """

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,
    ) -> list[list[RunningReplica]]:
        """Called by Ray for each picture, and again while those that are chosen are full."""
        if pending_request:
            # Or it would be called again at once, and hold up all else while all are full.
            pending_request.routing_context.should_backoff = True
        given = pending_request.kwargs if pending_request else {}
        wanted, broken = given.get("key"), given.get("avoid")
        among = _those(candidate_replicas, lambda r: r.replica_metadata.get("key") == wanted)
        among = _those(among, lambda r: r.replica_id.unique_id != broken)
        return [random.sample(among, min(CHOICES, len(among)))]


def _those(
    replicas: list[RunningReplica], fit: Callable[[RunningReplica], bool]
) -> list[RunningReplica]:
    """Those that fit; all if none does."""
    return [replica for replica in replicas if fit(replica)] or replicas
