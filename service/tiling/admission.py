"""Which pictures are not cut, since they are too many windows for the limit or for their time."""

from __future__ import annotations

import math
from typing import NamedTuple

from service.engine.segmenter import Segmenter
from service.errors import TooManyWindows, Unavailable
from service.settings import Settings
from service.tiling.pace import Pace
from service.tiling.plan import Plan, Tiling, make_plan
from service.visit import Visit

ROOM = 0.5
"""Share of its time that the windows of a picture should take if it is cut as is proposed: it is
decoded and put together besides, and machines are not steady."""


class Cut(NamedTuple):
    """A picture that is to be cut."""

    size: tuple[int, int]
    """Its own height and width."""
    tiling: Tiling
    plan: Plan


class Admission:
    """Refuses pictures of too many windows."""

    def __init__(self, engine: Segmenter, settings: Settings, pace: Pace) -> None:
        self._engine = engine
        self._settings = settings
        self._pace = pace

    def check(self, cut: Cut, visit: Visit) -> None:
        """Refuse a picture of which no window has been computed.

        Raises:
            TooManyWindows: more than the limit, or see `check_time`.
            Unavailable: see `check_time` and `Line.check_cut`.
        """
        windows, limit = len(cut.plan), self._settings.max_tiles
        if windows > limit:
            raise TooManyWindows(
                f"{_described(cut)}, and the limit is {limit}: ask for "
                f"tile={self._possible(cut, limit):g}"
            )
        if windows > 1:
            self.check_time(cut, windows, visit)
            visit.line.check_cut(visit.time_left, windows - 1)

    def check_time(self, cut: Cut, left: int, visit: Visit) -> None:
        """Refuse a picture that is going to be late, even if the engine computes nothing else.

        Args:
            cut: the picture.
            left: its windows that the engine has not been given yet.
            visit: its request.

        Raises:
            TooManyWindows: the time that the request had from the beginning is too short.
            Unavailable: what is left of that is.
        """
        seconds = self._pace.seconds(cut.plan.bucket)
        if not seconds or seconds.least * left <= visit.time_left:
            return
        needed = seconds.usual * len(cut.plan)
        if needed > visit.timeout:
            possible = self._possible(cut, int(ROOM * visit.timeout / seconds.usual))
            raise TooManyWindows(
                f"{_described(cut)}, which take about {needed:.1f} s here, and the request has "
                f"{visit.timeout:g} s: ask for tile={possible:g}, send parts of the picture, or "
                f"{self._more_time(needed)}"
            )
        raise Unavailable(
            f"{left} windows of the picture are left to compute, which takes about "
            f"{seconds.usual * left:.1f} s, and the request has {visit.time_left:.1f} s left",
            "no_time",
            visit.line.expected_wait,
        )

    def _more_time(self, needed: float) -> str:
        longest = self._settings.request_timeout
        if needed < longest:
            return f"give it more time with X-Request-Timeout, up to {longest:g}"
        return f"have the service's --request-timeout raised, which is {longest:g}"

    def _possible(self, cut: Cut, limit: int) -> float:
        """A scale at which there are not more windows than a limit, or a single one."""
        tiling, windows, most = cut.tiling, len(cut.plan), max(1, limit)
        while windows > most:
            scale = 0.95 * tiling.scale * math.sqrt(most / windows)
            tiling = tiling._replace(scale=float(f"{scale:.2g}"))
            plan = make_plan(self._engine.buckets, *tiling.size(*cut.size), tiling.overlap)
            windows = len(plan)
        return tiling.scale


def _described(cut: Cut) -> str:
    (height, width), plan = cut.size, cut.plan
    return (
        f"tile: {width} x {height} pixels at tile={cut.tiling.scale:g} are {len(plan)} windows of "
        f"{plan.bucket}"
    )
