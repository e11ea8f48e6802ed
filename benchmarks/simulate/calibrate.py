"""From what a real server was measured to do to the profile that the simulation needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from benchmarks.simulate.fleet import Fleet, Manners
from benchmarks.simulate.profile import Profile, mean, quantiles

ENOUGH = 1000
"""Requests of a simulated closed loop; their noise is below that of the measuring."""


@dataclass(frozen=True)
class Alone:
    """One request that met no other, in seconds."""

    total: float
    decode: float
    infer: float
    encode: float


def profile_of(
    name: str,
    alone: list[Alone],
    refusals: list[float],
    cores: int,
    placement: tuple[int, int, int, int],
) -> Profile:
    """What requests take that meet no other; how fast the cores are together is still open.

    Args:
        name: what it is called.
        alone: requests one after the other.
        refusals: seconds of requests that were turned away, one after the other.
        cores: of the machine.
        placement: runners, largest batch, image threads, limit of the line.
    """
    runners, max_batch, threads, limit = placement
    rest = [each.total - each.decode - each.infer - each.encode for each in alone]
    return Profile(
        name=name,
        cores=cores,
        speed=float(cores),
        runners=runners,
        max_batch=max_batch,
        image_threads=threads,
        http=round(max(0.0, mean(tuple(rest))), 5),
        refusal=round(mean(tuple(refusals)), 5),
        decode=quantiles([each.decode for each in alone]),
        infer=quantiles([each.infer for each in alone]),
        encode=quantiles([each.encode for each in alone]),
        queue_limit=limit,
    )


def throughput(profile: Profile, clients: int, seed: int = 0) -> float:
    """Answers per second that so many clients get who call again at once."""
    fleet = Fleet(profile, 1, Random(seed), manners=Manners(timeout=1e6), guess=profile.alone)
    fleet.keep_busy(clients)
    seconds = 0.0
    while len(fleet.log.seconds) < ENOUGH:
        seconds += 10 * profile.alone
        fleet.env.run(seconds)
    return len(fleet.log.seconds) / seconds


def with_speed(profile: Profile, clients: int, rate: float) -> Profile:
    """The profile whose cores are so fast together that it answers as many as was measured."""
    speed = _solve(
        lambda speed: throughput(replace(profile, speed=speed), clients),
        0.5,
        1.25 * profile.cores,
        rate,
    )
    return replace(profile, speed=round(speed, 4))


def with_batches(profile: Profile, clients: int, rate: float) -> Profile:
    """The profile whose batches cost as much as makes it answer as many as was measured."""
    more = -_solve(
        lambda minus: throughput(replace(profile, more=-minus), clients), -1.5, -0.2, rate
    )
    return replace(profile, more=round(more, 4))


def _solve(function: Callable[[float], float], low: float, high: float, wanted: float) -> float:
    """Where a rising function has that value, or the end that is nearest to it."""
    for _ in range(10):
        middle = (low + high) / 2
        if function(middle) < wanted:
            low = middle
        else:
            high = middle
    return (low + high) / 2
