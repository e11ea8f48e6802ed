"""What the simulation says of the measurements of a real server, and by how much it errs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from statistics import median
from typing import Any

import numpy as np

from benchmarks.simulate.arrivals import poisson, until
from benchmarks.simulate.calibrate import Alone, profile_of, with_batches, with_speed
from benchmarks.simulate.fleet import Fleet, Log, Manners
from benchmarks.simulate.measure import SETUPS, Setup
from benchmarks.simulate.profile import Profile

REPETITIONS = 20
"""Of each simulated measurement, since one has its own chance."""
DRAIN = 1000.0
"""Seconds after the last arrival by which all have ended."""


@dataclass(frozen=True)
class Row:
    """One load: all rounds together, measured and predicted."""

    setup: str
    load: float
    requests: int
    measured: tuple[float, float, float]
    """p50 and p99 in seconds, and the share without an answer."""
    predicted: tuple[float, float, float]
    p99_range: tuple[float, float]
    """Between which the p99 of 90 % of the simulated measurements lies."""
    reasons: dict[str, tuple[float, float]]
    """Shares measured and predicted of each way to get no answer."""

    @property
    def errors(self) -> tuple[float, float, float]:
        """Of p50 and p99 in shares of what was measured, of the refusals in shares of all."""
        (p50, p99, failed), (other50, other99, other) = self.measured, self.predicted
        return other50 / p50 - 1, other99 / p99 - 1, other - failed


def profiles(rounds: dict[str, Any], setup: Setup, speed: float | None = None) -> Profile:
    """The profile that a stored round of one setup gives.

    Args:
        rounds: as `measure.rounds` gives it, of that setup.
        setup: which.
        speed: of all cores together, if it is known; else it is found from the throughput.
    """
    runners, max_batch, threads, limit = rounds["placement"]
    profile = profile_of(
        setup.name,
        [Alone(*each) for each in rounds["alone"]],
        rounds["refusals"],
        rounds["cores"],
        (runners, max_batch, threads, limit),
    )
    if speed is None:
        return with_speed(profile, setup.clients, rounds["rate"])
    return with_batches(replace(profile, speed=speed), setup.clients, rounds["rate"])


def calibrated(stored: dict[str, Any]) -> dict[str, Profile]:
    """The profiles of all setups in one round; the first one tells how fast the cores are."""
    found: dict[str, Profile] = {}
    speed = None
    for setup in SETUPS:
        found[setup.name] = profiles(stored[setup.name], setup, speed)
        speed = found[setup.name].speed
    return found


def typical(rounds: Sequence[dict[str, Any]]) -> Profile:
    """What scaling rests on: the server with a session for each core, by all rounds together."""
    setup = SETUPS[0]
    parts = [stored[setup.name] for stored in rounds]
    together = {
        **parts[0],
        "alone": [each for part in parts for each in part["alone"]],
        "refusals": [each for part in parts for each in part["refusals"]],
        "rate": median(part["rate"] for part in parts),
    }
    return profiles(together, setup)


def compare(rounds: Sequence[dict[str, Any]]) -> Iterator[Row]:
    """Each load, predicted from the calibration of its own rounds.

    Raises:
        ValueError: there is a load at which no request was answered.
    """
    known = [calibrated(stored) for stored in rounds]
    for setup in SETUPS:
        for index, load in enumerate(setup.loads):
            cells = [stored[setup.name]["cells"][index] for stored in rounds]
            replays = [
                _replay(profiles[setup.name], setup, stored[setup.name]["rate"], cell)
                for profiles, stored, cell in zip(known, rounds, cells, strict=True)
            ]
            yield _row(setup, load, cells, replays)


def _replay(profile: Profile, setup: Setup, rate: float, cell: dict[str, Any]) -> list[Log]:
    """The same arrivals again, several times, each with other chances of the work."""
    logs = []
    for repetition in range(REPETITIONS):
        fleet = Fleet(
            profile, 1, Random(repetition), manners=Manners(setup.timeout), guess=1 / rate
        )
        arrivals = poisson(cell["rate"], Random(cell["seed"]))
        fleet.follow(until(arrivals, cell["seconds"]))
        fleet.env.run(cell["seconds"] + DRAIN)
        logs.append(fleet.log)
    return logs


def _row(setup: Setup, load: float, cells: list[dict[str, Any]], replays: list[list[Log]]) -> Row:
    answered = np.concatenate([cell["answered"] for cell in cells])
    if not len(answered):
        raise ValueError(
            f"server {setup.name}: no request was answered at {load:.0%} of the capacity; measure "
            "for longer, or on a machine with less to do"
        )
    requests = sum(cell["requests"] for cell in cells)
    repetitions = [[log.since(0) for log in logs] for logs in zip(*replays, strict=True)]
    simulated = [np.concatenate([seen.answered for seen in each]) for each in repetitions]
    everything = [seen for each in repetitions for seen in each]
    count = sum(len(seen.seconds) for seen in everything)
    reasons = {}
    for reason in ("queue_full", "no_time", "deadline"):
        real = sum(cell["reasons"].get(reason, 0) for cell in cells) / requests
        told = sum(seen.share(reason) * len(seen.seconds) for seen in everything) / count
        reasons[reason] = real, told
    tails = [float(np.percentile(each, 99)) for each in simulated]
    return Row(
        setup.name,
        load,
        requests,
        (*_percentiles(answered), 1 - len(answered) / requests),
        (*_percentiles(np.concatenate(simulated)), 1 - sum(map(len, simulated)) / count),
        (float(np.percentile(tails, 5)), float(np.percentile(tails, 95))),
        reasons,
    )


def _percentiles(seconds: Any) -> tuple[float, float]:
    p50, p99 = np.percentile(seconds, (50, 99))
    return float(p50), float(p99)
