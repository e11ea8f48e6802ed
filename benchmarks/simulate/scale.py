"""`scale`: many replicas of the server that `check` measured, from one seed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchmarks.simulate import plots
from benchmarks.simulate.autoscale import SHAPES, Outcome, Trial, attempt, targets
from benchmarks.simulate.calibrate import throughput
from benchmarks.simulate.needs import BALANCERS, Case, carried, needed
from benchmarks.simulate.page import put, table
from benchmarks.simulate.predict import typical
from benchmarks.simulate.profile import Profile
from benchmarks.simulate.zone import CLIENTS, Cost, Failure, fail
from service.cores import usable_cores

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True)
class Plan:
    """How much is simulated."""

    replicas: tuple[int, ...] = (1, 3, 10, 30, 100, 300, 1000)
    under_surges: tuple[int, ...] = (1, 3, 10, 30, 100)
    rates: tuple[float, ...] = (10, 30, 100, 300, 1000, 3000, 10_000)
    utilisations: tuple[float, ...] = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)
    starts: tuple[float, ...] = (30.0, 120.0)
    base: int = 5
    zone_replicas: int = 30
    zone_shares: tuple[float, ...] = (0.5, 0.6, 0.65, 0.7, 0.8, 0.9)
    size: float = 1.0


QUICK = Plan(
    replicas=(1, 10, 100),
    under_surges=(1, 10),
    rates=(10, 100, 1000),
    utilisations=(0.5, 0.7, 0.9),
    starts=(60.0,),
    base=2,
    zone_replicas=9,
    zone_shares=(0.5, 0.7, 0.9),
    size=0.3,
)
STEADY = ("Poisson", "clumps of 8")
COMPARED = ("random", "round robin", "two choices")


@dataclass(frozen=True)
class Run:
    """What all parts share."""

    profile: Profile
    capacity: float
    plan: Plan
    seed: int
    page: Path
    images: Path
    pool: Executor

    def map(self, function: Callable[[A], B], cases: Iterable[A]) -> list[B]:
        return list(self.pool.map(function, cases))


def scale(
    store: Path, page: Path, images: Path, seed: int, quick: bool, tell: Callable[[str], None]
) -> None:
    """Simulate all of it and write tables and plots.

    Args:
        store: what `check` measured.
        page: gets the tables.
        images: the folder that gets the plots.
        seed: of all that is by chance.
        quick: whether to simulate less.
        tell: told of the progress.
    """
    profile = typical(json.loads(store.read_text())["rounds"])
    capacity = throughput(profile, 8 * profile.capacity)
    replica = f"{capacity:.1f}/s, {1e3 * profile.alone:.0f} ms for a request alone"
    tell(f"one replica: {replica}")
    short = " This was a short run (`--quick`)." if quick else ""
    put(
        page,
        "replica",
        f"One replica is the server with a session for each core: {replica}.{short}",
    )
    with ProcessPoolExecutor(usable_cores()) as pool:
        plan = QUICK if quick else Plan()
        run = Run(profile, capacity, plan, seed, page, images, pool)
        for part in (many, balancers, signals, zones):
            begun = time.monotonic()
            part(run)
            tell(f"{part.__name__}: {time.monotonic() - begun:.0f} s")


def many(run: Run) -> None:
    """How many replicas a traffic needs."""
    kinds = [(traffic, balancer) for traffic in STEADY for balancer in COMPARED]
    kinds.append(("surges", "two choices"))
    cases = [
        [
            Case(run.profile, run.capacity, count, *kind, run.seed, run.plan.size)
            for count in (run.plan.under_surges if kind[0] == "surges" else run.plan.replicas)
        ]
        for kind in kinds
    ]
    found = {
        kind: {case.replicas: share for case, share in zip(row, shares, strict=True)}
        for kind, row, shares in zip(kinds, cases, run.map(carried, cases), strict=True)
    }
    names = [f"{traffic}, {balancer}" for traffic, balancer in kinds]
    put(
        run.page,
        "carried",
        table(
            ("replicas", *names),
            [
                [f"{count:,}"] + [_share(found[kind].get(count)) for kind in kinds]
                for count in run.plan.replicas
            ],
        ),
    )
    put(
        run.page,
        "needed",
        table(
            ("requests a second", *names),
            [
                [f"{rate:,.0f}"]
                + [_count(needed(found[kind], run.capacity, rate)) for kind in kinds]
                for rate in run.plan.rates
            ],
        ),
    )
    plots.plot_many(found, run.images / "scale-replicas.png")


def balancers(run: Run) -> None:
    """The tail under each balancer, by utilisation."""
    count = 30
    cases = [
        Case(run.profile, run.capacity, count, traffic, balancer, run.seed, run.plan.size)
        for traffic in STEADY
        for balancer in BALANCERS
    ]
    asked = [(case, share) for case in cases for share in run.plan.utilisations]
    tails = dict(zip(asked, run.map(_tail, asked), strict=True))
    plots.plot_balancers(
        {
            traffic: {
                case.balancer: [(share, tails[case, share]) for share in run.plan.utilisations]
                for case in cases
                if case.traffic == traffic
            }
            for traffic in STEADY
        },
        run.images / "scale-balancers.png",
    )


def _tail(asked: tuple[Case, float]) -> float:
    case, utilisation = asked
    return case.run(utilisation).percentile(99)


def signals(run: Run) -> None:
    """Which signal reacts in time."""
    trials = [
        Trial(run.profile, run.capacity, shape, signal, start, run.seed, run.plan.base)
        for shape in SHAPES
        for start in run.plan.starts
        for signal in ("", *targets(run.profile, run.capacity))
    ]
    outcomes = dict(zip(trials, run.map(attempt, trials), strict=True))
    rows = [_signal_row(trial, outcome) for trial, outcome in outcomes.items()]
    head = (
        "traffic",
        "start",
        "signal",
        "unanswered",
        "in the worst minute",
        "p99",
        "back to 1 % after",
        "replicas paid, over ideal",
    )
    put(run.page, "signals", table(head, rows))
    shown = {
        trial.signal or "none": outcome
        for trial, outcome in outcomes.items()
        if trial.shape == "flash crowd" and trial.start_seconds == run.plan.starts[0]
    }
    plots.plot_signals(shown, run.images / "scale-signals.png")


def _signal_row(trial: Trial, outcome: Outcome) -> list[str]:
    return [
        trial.shape,
        f"{trial.start_seconds:.0f} s",
        trial.signal or "none",
        f"{outcome.failed:.1%}",
        f"{outcome.worst:.0%}",
        f"{outcome.p99:.1f} s",
        f"{outcome.recovered:.0f} s",
        f"{outcome.paid:.2f}",
    ]


def zones(run: Run) -> None:
    """What a failed zone costs."""
    failures = [
        Failure(run.profile, run.capacity, run.plan.zone_replicas, share, clients, run.seed)
        for share in run.plan.zone_shares
        for clients in CLIENTS
    ]
    costs = dict(zip(failures, run.map(fail, failures), strict=True))
    head = (
        "utilisation before",
        "clients",
        "fail in the first 10 s",
        "fail until replaced",
        "p99 of the answers",
        "tries a call",
    )
    put(run.page, "zones", table(head, [_zone_row(*item) for item in costs.items()]))
    plots.plot_zones(costs, run.images / "scale-zones.png")


def _zone_row(failure: Failure, cost: Cost) -> list[str]:
    return [
        f"{failure.utilisation:.0%}",
        failure.clients,
        f"{cost.at_once:.1%}",
        f"{cost.after:.1%}",
        f"{cost.p99:.2f} s",
        f"{cost.tries:.2f}",
    ]


def _share(utilisation: float | None) -> str:
    return "" if utilisation is None else f"{utilisation:.0%}"


def _count(count: int | None) -> str:
    return "" if count is None else f"{count:,}"
