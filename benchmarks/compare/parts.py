"""What is measured of each server, in turns; figures by part, by server, one for each turn."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import asdict
from typing import Any

from benchmarks.compare.bench import Bench
from benchmarks.compare.launch import Started
from benchmarks.compare.outcome import judge
from benchmarks.compare.rivals import OURS, RIVALS
from benchmarks.load import Load, open_loop

CLIENTS = (1, 8, 32)
IMITATION_CLIENTS = 32
OF_USE = 2.0
"""Seconds for which an answer is of use under overload."""
TIMES = 4
"""The load over deeplab-serve's capacity."""

Figures = dict[str, list[dict[str, Any]]]
"""By server, those of each turn."""


def real(bench: Bench) -> Figures:
    """The real model: launch, throughput, latency, memory."""
    figures: Figures = defaultdict(list)
    for turn, rival in bench.in_turns():
        with bench.serving(rival) as server:
            row: dict[str, Any] = {"start": server.start_seconds}
            bench.press(server, max(CLIENTS), bench.seconds / 4)
            for clients in CLIENTS:
                row[f"at_{clients}"] = _pressed(bench, server, clients)
            row["megabytes"] = server.megabytes
        figures[rival.name].append(row)
        bench.say(f"turn {turn + 1}, {rival.title}: {_summary(row)}")
    return figures


def imitation(bench: Bench) -> Figures:
    """A model that only sleeps: requests a second, and processor time of a request."""
    figures: Figures = defaultdict(list)
    for turn, rival in bench.in_turns():
        with bench.serving(rival, imitation=True) as server:
            bench.press(server, IMITATION_CLIENTS, bench.seconds / 4)
            row = _pressed(bench, server, IMITATION_CLIENTS)
        figures[rival.name].append(row)
        bench.say(
            f"turn {turn + 1}, {rival.title}: {row['rate']:.0f}/s, {row['cpu_ms']:.1f} CPU ms each"
        )
    return figures


def overload(bench: Bench) -> Figures:
    """Four times what deeplab-serve can do, each answer of use for two seconds."""
    with bench.serving(RIVALS[OURS]) as server:
        bench.press(server, 8, bench.seconds / 4)
        capacity = bench.press(server, 8, bench.seconds).rate
    bench.say(f"deeplab-serve does {capacity:.1f}/s; {TIMES * capacity:.0f}/s will be offered")
    arriving, figures = 3 * bench.seconds, defaultdict(list)
    for turn, rival in bench.in_turns():
        with bench.serving(rival, deadline=OF_USE) as server:
            bench.press(server, 8, bench.seconds / 4)
            before = server.megabytes
            load = asyncio.run(
                open_loop(
                    server.url,
                    server.mask_of(bench.jpeg, OF_USE),
                    TIMES * capacity,
                    arriving,
                    seed=turn,
                    grace=2 * OF_USE,
                )
            )
            after = server.megabytes
        outcome = judge(load, OF_USE, arriving)
        figures[rival.name].append(
            {**asdict(outcome), "capacity": capacity, "before": before, "after": after}
        )
        bench.say(
            f"turn {turn + 1}, {rival.title}: {outcome.goodput:.1f}/s in time; of "
            f"{outcome.offered} {outcome.useful} useful, {outcome.late} late, {outcome.refused} "
            f"refused, {outcome.failed} failed; statuses {outcome.statuses}"
        )
    return figures


def _pressed(bench: Bench, server: Started, clients: int) -> dict[str, Any]:
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


def _summary(row: dict[str, Any]) -> str:
    rates = ", ".join(f"{row[f'at_{clients}']['rate']:.1f}" for clients in CLIENTS)
    failed = sum(row[f"at_{clients}"]["failed"] for clients in CLIENTS)
    return (
        f"{rates} masks/s at {', '.join(map(str, CLIENTS))} clients, {failed} failed; first mask "
        f"after {row['start']:.1f} s, {row['megabytes']:.0f} MB"
    )
