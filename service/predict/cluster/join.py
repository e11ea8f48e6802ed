"""Ray, on a cluster or started here, and the way out of it."""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc  # type: ignore[import-untyped]
import ray
import ray.data
from ray.exceptions import RayError

from service.cores import usable_cores
from service.errors import StartError
from service.predict.stop import Stop

STORE_BYTES = 128 * 2**20
"""Of a Ray that is started here: through it go names, no pictures."""
REACH_SECONDS = 10.0
HOST_AND_PORT = r"\[?([^/\]]+)\]?:(\d+)"
HEALTH = "/grpc.health.v1.Health/Check"
"""What every part of a Ray cluster answers, also one that asks for a token."""


@contextmanager
def joined(address: str | None, stop: Stop) -> Iterator[None]:
    """Ray, on a cluster or started here.

    Raises:
        StartError: there is none at the address, or Ray fails.
    """
    # Ray would tell its makers about each cluster.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    own: dict[str, Any] = {}
    if address == "local":
        own = {
            "num_cpus": usable_cores(),
            "include_dashboard": False,
            "object_store_memory": STORE_BYTES,
        }
    try:
        if address not in ("local", "auto"):
            reach(address)
        ray.init(address, logging_level=logging.ERROR, log_to_driver=False, **own)
    except (OSError, RuntimeError, ValueError, RayError) as error:
        raise StartError(
            f"cannot join the Ray cluster at {address}: {str(error).strip()}; the port is the one "
            "that `ray start --head` told, and a cluster that asks for a token wants "
            "RAY_AUTH_MODE=token and its ~/.ray/auth_token here too"
        ) from error
    stop.listen()
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield
    except RayError as error:
        raise StartError(f"Ray cannot go on: {str(error).splitlines()[-1]}") from error
    finally:
        ray.shutdown()


def reach(address: str) -> None:
    """Find out whether a Ray cluster answers, since Ray itself tries for minutes.

    Raises:
        StartError: it is no address, or something else answers there, or nothing.
        OSError: nobody listens there.
    """
    found = re.fullmatch(HOST_AND_PORT, address)
    if not found:
        raise StartError(f"{address!r} is no address of a Ray cluster: write HOST:PORT")
    socket.create_connection((found[1], int(found[2])), REACH_SECONDS).close()
    if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
        return  # with its certificates only Ray can ask
    with grpc.insecure_channel(address, [("grpc.enable_http_proxy", 0)]) as channel:
        try:
            channel.unary_unary(HEALTH)(b"", timeout=REACH_SECONDS)
        except grpc.RpcError as error:
            raise StartError(
                f"what listens at {address} is no Ray cluster, or one that does not answer: the "
                "port is the one that `ray start --head` told, mostly 6379, and not that of its "
                f"dashboard (8265) or of Ray Client (10001) [{error.details()}]"
            ) from error
