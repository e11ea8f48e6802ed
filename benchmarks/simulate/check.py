"""`check`: calibrate and measure a real server in turns, predict the measurements, compare."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.simulate.measure import rounds
from benchmarks.simulate.page import put, table
from benchmarks.simulate.plots import plot_check
from benchmarks.simulate.predict import Row, compare, typical

HEAD = (
    "load",
    "requests",
    "p50 measured",
    "predicted",
    "error",
    "p99 measured",
    "predicted (90 % of runs)",
    "error",
    "unanswered measured",
    "predicted",
)
QUIET = 0.2
"""Cores that others may take."""


def check(
    store: Path,
    page: Path,
    images: Path,
    count: int,
    seconds: float,
    resume: bool,
    tell: Callable[[str], None],
) -> None:
    """Measure, compare and write down.

    Args:
        store: JSON of all that was measured; written after each round.
        page: gets the tables.
        images: the folder that gets the plot.
        count: rounds in all.
        seconds: length of each measurement.
        resume: whether the rounds in the store count, so that fewer or none are missing.
        tell: told of the progress.
    """
    begun = time.monotonic()
    stored = json.loads(store.read_text()) if resume and store.exists() else _new()
    missing = count - len(stored["rounds"])
    if missing > 0:
        store.parent.mkdir(parents=True, exist_ok=True)
        for measured in rounds(missing, seconds, tell):
            stored["rounds"].append(measured)
            store.write_text(json.dumps(stored) + "\n")
    tell("comparing with the simulation")
    rows = list(compare(stored["rounds"]))
    put(page, "check", report(stored, rows))
    plot_check(rows, images / "scale-check.png")
    for row in rows:
        tell("  ".join(cells(row)))
    tell(f"{time.monotonic() - begun:.0f} s; {store}, {page} and {images} are written")


def _new() -> dict[str, Any]:
    return {"date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine(), "rounds": []}


def machine() -> str:
    """The processor, as the system calls it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


def report(stored: dict[str, Any], rows: list[Row]) -> str:
    """What the page says of it."""
    profile = typical(stored["rounds"])
    others = [part["others"] for each in stored["rounds"] for part in each.values()]
    warning = " That is much: repeat it on a quiet machine." if mean(others) > QUIET else ""
    parts = [
        f"Measured on {stored['date']}, {profile.cores} cores of {stored['machine']}, "
        f"{len(stored['rounds'])} rounds. Others took {mean(others):.1f} of the cores "
        f"({max(others):.1f} at most).{warning} One request alone takes "
        f"{1e3 * profile.alone:.0f} ms, of which {1e3 * profile.http:.1f} ms are HTTP and the "
        f"client; all cores together are {profile.speed:.2f} times as fast as one."
    ]
    for setup in dict.fromkeys(row.setup for row in rows):
        chosen = [row for row in rows if row.setup == setup]
        parts += [f"Server {setup}:", table(HEAD, [cells(row) for row in chosen])]
    parts.append(_summary(rows))
    return "\n\n".join(parts)


def cells(row: Row) -> list[str]:
    (p50, p99, failed), (other50, other99, other) = row.measured, row.predicted
    error50, error99, _ = row.errors
    low, high = row.p99_range
    return [
        f"{row.load:.0%}",
        f"{row.requests}",
        f"{1e3 * p50:.0f} ms",
        f"{1e3 * other50:.0f} ms",
        f"{error50:+.0%}",
        f"{1e3 * p99:.0f} ms",
        f"{1e3 * other99:.0f} ms ({1e3 * low:.0f} to {1e3 * high:.0f})",
        f"{error99:+.0%}",
        _refused(failed, {reason: shares[0] for reason, shares in row.reasons.items()}),
        _refused(other, {reason: shares[1] for reason, shares in row.reasons.items()}),
    ]


def _refused(failed: float, reasons: dict[str, float]) -> str:
    found = [f"{reason} {share:.1%}" for reason, share in reasons.items() if share >= 0.0005]
    return f"{failed:.1%}" + (f" ({', '.join(found)})" if found else "")


def _summary(rows: list[Row]) -> str:
    errors = [row.errors for row in rows]
    middle = [sorted(abs(error[index]) for error in errors)[len(errors) // 2] for index in range(3)]
    most = [max(abs(error[index]) for error in errors) for index in range(3)]
    return (
        f"Over all loads the prediction errs by {middle[0]:.0%} of the p50 in the median "
        f"({most[0]:.0%} at most), by {middle[1]:.0%} of the p99 ({most[1]:.0%}), and by "
        f"{100 * middle[2]:.1f} points of the unanswered share ({100 * most[2]:.1f})."
    )
