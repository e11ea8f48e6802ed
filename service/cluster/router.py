"""Sends each picture to a replica that has the model it was made ready for."""

from __future__ import annotations

import random

from ray.serve.request_router import PendingRequest, RequestRouter, RunningReplica

CHOICES = 2
"""Of so many, chosen by chance, Ray takes the one that has less to do."""


class ByModel(RequestRouter):
    """While a change of model goes round, replicas of both are there.

    Where none has the model any more, any replica is asked: it says what it has instead.
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
        wanted = pending_request.kwargs.get("key") if pending_request else None
        having = [
            replica
            for replica in candidate_replicas
            if replica.replica_metadata.get("key") == wanted
        ]
        among = having or candidate_replicas
        return [random.sample(among, min(CHOICES, len(among)))]
