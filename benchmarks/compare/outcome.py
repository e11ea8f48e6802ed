"""What became of requests whose answers are of use for a while only."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from benchmarks.load import Load, Reply

MASK = 200


@dataclass(frozen=True)
class Outcome:
    """Each request is one of `useful`, `late`, `refused` and `failed`."""

    offered: int
    goodput: float
    """Useful answers per second, of those that came while requests still arrived."""
    useful: int
    """Masks in time."""
    late: int
    """Masks too late, and requests without an answer when their time was over."""
    refused: int
    """Answers that say no."""
    failed: int
    """Connections that broke before their time was over."""
    statuses: dict[int, int]
    """How often each status came; 0 is none."""
    refused_p50: float | None
    """Seconds within which half of those that say no came; None if there were none."""
    refused_p99: float | None


def judge(load: Load, of_use: float, seconds: float) -> Outcome:
    """Sort requests by what became of them.

    Args:
        load: all of them.
        of_use: seconds after which an answer is of no use any more.
        seconds: for which requests arrived.
    """
    replies = load.replies
    began = min((reply.started for reply in replies), default=0.0)
    kinds = Counter(_kind(reply, of_use) for reply in replies)
    in_window = sum(
        _kind(reply, of_use) == "useful" and reply.started + reply.seconds < began + seconds
        for reply in replies
    )
    refusals = [reply.seconds for reply in replies if _kind(reply, of_use) == "refused"]
    p50, p99 = np.percentile(refusals, (50, 99)).tolist() if refusals else (None, None)
    return Outcome(
        offered=len(replies),
        goodput=in_window / seconds,
        useful=kinds["useful"],
        late=kinds["late"],
        refused=kinds["refused"],
        failed=kinds["failed"],
        statuses=dict(sorted(Counter(reply.status for reply in replies).items())),
        refused_p50=p50,
        refused_p99=p99,
    )


def _kind(reply: Reply, of_use: float) -> str:
    in_time = reply.seconds <= of_use
    if reply.status == MASK:
        return "useful" if in_time else "late"
    if reply.status:
        return "refused"
    return "failed" if in_time else "late"
