"""What is measured of each server, in turns; figures by part, by server, one for each turn."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from benchmarks.compare.bench import Bench
from benchmarks.compare.launch import NotStarted, Started
from benchmarks.compare.outcome import judge
from benchmarks.compare.rivals import OURS, RIVALS, Rival
from benchmarks.load import Load, open_loop

CLIENTS = (1, 8, 32)
IMITATION_CLIENTS = 32
OF_USE = 2.0
"""Seconds for which an answer is of use under overload."""
TIMES = 4
"""The load over deeplab-serve's capacity."""

Row = dict[str, Any]
Figures = dict[str, list[Row]]
"""By server, those of each turn."""


def real(bench: Bench) -> Figures:
    """The real model: launch, throughput, latency, memory."""

    def measure(turn: int, rival: Rival) -> Row:
        with bench.serving(rival) as server:
            row: Row = {"start": server.start_seconds}
            bench.press(server, max(CLIENTS), bench.seconds / 4)
            for clients in CLIENTS:
                row[f"at_{clients}"] = _pressed(bench, server, clients)
            return {**row, "megabytes": server.megabytes}

    return _in_turns(bench, measure, _rates)


def imitation(bench: Bench) -> Figures:
    """A model that only sleeps: requests a second, and processor time of a request."""

    def measure(turn: int, rival: Rival) -> Row:
        with bench.serving(rival, imitation=True) as server:
            bench.press(server, IMITATION_CLIENTS, bench.seconds / 4)
            return _pressed(bench, server, IMITATION_CLIENTS)

    return _in_turns(
        bench, measure, lambda row: f"{row['rate']:.0f}/s, {row['cpu_ms']:.1f} CPU ms each"
    )


def overload(bench: Bench) -> Figures:
    """Four times what deeplab-serve can do, each answer of use for two seconds."""
    with bench.serving(RIVALS[OURS]) as server:
        bench.press(server, 8, bench.seconds / 4)
        capacity = bench.press(server, 8, bench.seconds).rate
    bench.say(f"deeplab-serve does {capacity:.1f}/s; {TIMES * capacity:.0f}/s will be offered")
    arriving = 4 * bench.seconds

    def measure(turn: int, rival: Rival) -> Row:
        with bench.serving(rival, deadline=OF_USE) as server:
            bench.press(server, 8, bench.seconds / 4)
            before, ask = server.megabytes, server.mask_of(bench.jpeg, OF_USE)
            load = asyncio.run(
                open_loop(
                    server.url, ask, TIMES * capacity, arriving, seed=turn, grace=1.25 * OF_USE
                )
            )
            after = server.megabytes
        outcome = asdict(judge(load, OF_USE, arriving))
        return {**outcome, "capacity": capacity, "before": before, "after": after}

    return _in_turns(
        bench,
        measure,
        lambda row: (
            f"{row['goodput']:.1f}/s in time; of {row['offered']} {row['useful']} useful, "
            f"{row['late']} late, {row['refused']} refused, {row['failed']} failed; "
            f"statuses {row['statuses']}"
        ),
    )


def _in_turns(
    bench: Bench, measure: Callable[[int, Rival], Row], tell: Callable[[Row], str]
) -> Figures:
    """The figures of each server in each turn; a start that fails costs only its turn."""
    figures: Figures = defaultdict(list)
    for turn, rival in bench.in_turns():
        try:
            row = {"turn": turn, **measure(turn, rival)}
        except NotStarted as problem:
            bench.say(f"turn {turn + 1}: {problem}")
            continue
        figures[rival.name].append(row)
        bench.say(f"turn {turn + 1}, {rival.title}: {tell(row)}")
    return figures


def _pressed(bench: Bench, server: Started, clients: int) -> Row:
    before = server.cpu_seconds
    load = bench.press(server, clients, bench.seconds)
    spent = server.cpu_seconds - before
    return {
        "rate": load.rate,
        "p50": _percentile(load, 50),
        "p99": _percentile(load, 99),
        "cpu_ms": 1e3 * spent / max(1, len(load.replies)),
        "failed": len(load.replies) - len(load.answered()),
    }


def _percentile(load: Load, share: float) -> float | None:
    return load.percentile(share) if load.answered() else None


def _rates(row: Row) -> str:
    rates = ", ".join(f"{row[f'at_{clients}']['rate']:.1f}" for clients in CLIENTS)
    failed = sum(row[f"at_{clients}"]["failed"] for clients in CLIENTS)
    return (
        f"{rates} masks/s at {', '.join(map(str, CLIENTS))} clients, {failed} failed; first mask "
        f"after {row['start']:.1f} s, {row['megabytes']:.0f} MB"
    )
