"""Rounds of calibration and measurement on a real server, one after the other.

Each round is calibrated by itself, right before and after its measurements and on the machine as
it is at that time: the server and the client that loads it share the same cores as in these.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from benchmarks.load import Connection, Load, Reply, closed_loop, open_loop
from benchmarks.run import mask_of, photo
from benchmarks.server import Server, running
from benchmarks.simulate.others import Others
from service.cores import usable_cores
from service.settings import Settings

HOPELESS = "X-Request-Timeout: 0.001\r\n"
"""A request that is given up at once, and so costs what a refusal does."""


@dataclass(frozen=True)
class Setup:
    """One way to run the server, and the loads it is put under."""

    name: str
    flags: tuple[str, ...]
    timeout: float
    """Seconds that each request has."""
    loads: tuple[float, ...]
    """Rates of arrival, in shares of the capacity."""
    clients: int
    """That saturate it in a closed loop."""


SETUPS = (
    # Without these flags a picture that is alone would get all cores, which is not simulated.
    Setup(
        "with a session for each core",
        ("--sessions", str(usable_cores()), "--threads", "1"),
        2.0,
        (0.5, 0.7, 0.9, 1.2, 2.0),
        8,
    ),
    Setup(
        "with one session, batches of up to 4, room for 12",
        ("--sessions", "1", "--threads", "1", "--max-batch", "4", "--queue-limit", "12"),
        10.0,
        (0.7, 0.9, 1.5),
        12,
    ),
)


def rounds(
    count: int,
    seconds: float,
    tell: Callable[[str], None],
    setups: Sequence[Setup] = SETUPS,
) -> Iterator[dict[str, Any]]:
    """So many rounds, each as it is stored.

    Args:
        count: how many.
        seconds: the length of each measurement.
        tell: told of the progress.
        setups: the servers, which all run at the same time and work one after the other.
    """
    body = photo(1280, 720)
    with ExitStack() as stack:
        servers = {
            setup.name: stack.enter_context(running(*setup.flags, "--image-threads", threads()))
            for setup in setups
        }
        for number in range(count):
            measured = {}
            for setup in setups:
                server = servers[setup.name]
                measured[setup.name] = _round(server, setup, body, number, seconds, tell)
            yield measured


def threads() -> str:
    """The image threads that a server has here; fixed, so that they are known."""
    return str(Settings.model_fields["image_threads"].default)


def _round(
    server: Server,
    setup: Setup,
    body: bytes,
    number: int,
    seconds: float,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    heads = f"X-Request-Timeout: {setup.timeout}\r\n"
    others = Others(server)
    before = _calibrate(server, setup, body, seconds / 4)
    tell(f"round {number + 1}, {setup.name}: {before.rate:.1f}/s")
    cells = []
    for index, load in enumerate(setup.loads):
        seed, rate = 1000 * number + index, load * before.rate
        counted, beside = reasons(server), Others(server)
        seen = asyncio.run(open_loop(server.url, mask_of(body, heads), rate, seconds, seed=seed))
        cells.append(
            {"load": load, "rate": rate, "seed": seed, "seconds": seconds}
            | _seen(seen, counted, reasons(server))
        )
        tell(
            f"  at {load:.0%}: {len(seen.replies)} requests, {len(seen.answered())} answered; "
            f"others took {beside.cores():.1f} cores"
        )
    after = _calibrate(server, setup, body, seconds / 4)
    placed = server.placement
    return {
        "cores": usable_cores(),
        "placement": [placed.sessions, placed.max_batch, int(threads()), _limit(setup)],
        "others": round(others.cores(), 2),
        "rate": round((before.rate + after.rate) / 2, 3),
        "alone": before.alone + after.alone,
        "refusals": before.refusals + after.refusals,
        "cells": cells,
    }


@dataclass(frozen=True)
class Calibration:
    """What the server did when little and when much was asked of it."""

    rate: float
    """Answers per second when it is saturated."""
    alone: list[list[float]]
    """See `calibrate.Alone`."""
    refusals: list[float]
    """Seconds of each."""


def _calibrate(server: Server, setup: Setup, body: bytes, seconds: float) -> Calibration:
    alone = _press(server, body, 1, seconds).answered()
    refusals = [round(_send(server, body, HOPELESS).seconds, 4) for _ in range(10)]
    rate = _press(server, body, setup.clients, seconds).rate
    return Calibration(rate, [_parts(reply) for reply in alone], refusals)


def _seen(seen: Load, before: dict[str, float], after: dict[str, float]) -> dict[str, Any]:
    """What came of one measurement, as it is stored."""
    return {
        "requests": len(seen.replies),
        "answered": sorted(round(reply.seconds, 3) for reply in seen.answered()),
        "reasons": {
            reason: int(count - before.get(reason, 0))
            for reason, count in after.items()
            if count > before.get(reason, 0)
        },
    }


def reasons(server: Server) -> dict[str, float]:
    """How many masks were not given, by why."""
    found = re.findall(
        r'deeplab_requests_total\{reason="(\w+)",route="/v1/mask",status="\d+"\} (\S+)',
        server.get("/metrics"),
    )
    counts: dict[str, float] = {}
    for reason, count in found:
        counts[reason] = counts.get(reason, 0.0) + float(count)
    return counts


def _press(server: Server, body: bytes, clients: int, seconds: float) -> Load:
    return asyncio.run(closed_loop(server.url, mask_of(body), clients, seconds))


def _send(server: Server, body: bytes, heads: str) -> Reply:
    async def once() -> Reply:
        connection = Connection(server.url)
        reply = await connection.post("/v1/mask", body, heads)
        connection.close()
        return reply

    return asyncio.run(once())


def _parts(reply: Reply) -> list[float]:
    """Seconds of a request in all, in decode, infer and encode, by the server's `Server-Timing`."""
    stages = {
        name: float(milliseconds) / 1e3
        for name, milliseconds in re.findall(r"(\w+);dur=([\d.]+)", reply.head)
    }
    parts = (stages[stage] for stage in ("decode", "infer", "encode"))
    return [round(each, 4) for each in (reply.seconds, *parts)]


def _limit(setup: Setup) -> int:
    flags = setup.flags
    if "--queue-limit" in flags:
        return int(flags[flags.index("--queue-limit") + 1])
    return int(Settings.model_fields["queue_limit"].default)
