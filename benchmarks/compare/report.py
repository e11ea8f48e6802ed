"""Figures to tables for a page: medians of the turns, and from where to where they went."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.compare.parts import CLIENTS, Figures
from benchmarks.compare.rivals import OURS, RIVALS
from benchmarks.simulate.page import table

Row = Mapping[str, Any]
Pick = Callable[[Row], float | None]


def tables(results: Mapping[str, Figures]) -> str:
    """What was measured, in Markdown."""
    made = []
    if real := results.get("real"):
        made.append(_real(real))
    if imitation := results.get("imitation"):
        made.append(_imitation(imitation))
    if overload := results.get("overload"):
        made.append(_overload(overload))
    return "\n\n".join(made)


def spread(rows: Sequence[Row], pick: Pick, digits: int = 1, unit: str = "") -> str:
    """The median of the turns with the least and the most."""
    values = [value for row in rows if (value := pick(row)) is not None]
    if not values:
        return "none"
    median = f"{statistics.median(values):.{digits}f}{unit}"
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return median if low == high else f"{median} ({low} to {high})"


def ratio(figures: Figures, name: str, pick: Pick) -> str:
    """What a server has of deeplab-serve's figure, turn by turn."""
    if OURS not in figures or name == OURS:
        return ""
    own = {row["turn"]: pick(row) for row in figures[OURS]}
    ratios = [
        theirs / ours
        for row in figures[name]
        if (theirs := pick(row)) is not None and (ours := own.get(row["turn"]))
    ]
    return f", {statistics.median(ratios):.2f}" if ratios else ""


def _real(figures: Figures) -> str:
    def cells(name: str, rows: Sequence[Row]) -> list[str]:
        made = []
        for clients in CLIENTS:
            key = f"at_{clients}"

            def rate(row: Row, key: str = key) -> float:
                return float(row[key]["rate"])

            latency = [
                spread(rows, lambda row, key=key, p=p: _ms(row[key][p]), 0).split(" ")[0]  # type: ignore[misc]
                for p in ("p50", "p99")
            ]
            made.append(f"{spread(rows, rate)}{ratio(figures, name, rate)}; {'/'.join(latency)} ms")
        start = spread(rows, lambda row: row["start"], 1, " s")
        return [*made, start, spread(rows, lambda row: row["megabytes"], 0, " MB")]

    head = [*(f"{clients} clients: masks/s, of ours; p50/p99" for clients in CLIENTS)]
    return table(
        ["server", *head, "first mask after", "memory"],
        [[RIVALS[name].title, *cells(name, rows)] for name, rows in figures.items()],
    )


def _imitation(figures: Figures) -> str:
    def line(name: str, rows: Sequence[Row]) -> list[str]:
        rate = spread(rows, lambda row: row["rate"], 0)
        cpu = spread(rows, lambda row: row["cpu_ms"])
        p99 = spread(rows, lambda row: _ms(row["p99"]), 0)
        return [
            RIVALS[name].title,
            rate + ratio(figures, name, lambda row: row["rate"]),
            cpu + ratio(figures, name, lambda row: row["cpu_ms"]),
            p99,
        ]

    return table(
        ["model that sleeps", "requests/s, of ours", "CPU ms a request, of ours", "p99, ms"],
        [line(name, rows) for name, rows in figures.items()],
    )


def _overload(figures: Figures) -> str:
    def line(name: str, rows: Sequence[Row]) -> list[str]:
        def share(kind: str) -> str:
            return spread(rows, lambda row: 100 * row[kind] / max(1, row["offered"]), 0, " %")

        refused = share("refused")
        p50 = spread(rows, lambda row: _ms(row["refused_p50"]), 0)
        p99 = spread(rows, lambda row: _ms(row["refused_p99"]), 0)
        before = spread(rows, lambda row: row["before"], 0).split(" ")[0]
        after = spread(rows, lambda row: row["after"], 0).split(" ")[0]
        return [
            RIVALS[name].title,
            RIVALS[name].deadline,
            spread(rows, lambda row: row["goodput"])
            + ratio(figures, name, lambda row: row["goodput"]),
            refused if p50 == "none" else f"{refused}; {p50}/{p99} ms",
            share("late"),
            share("failed"),
            f"{before} to {after}",
        ]

    head = ["four times the load", "told the deadline by", "in time/s, of ours"]
    return table(
        [*head, "refused; p50/p99", "too late", "failed", "MB before to after"],
        [line(name, rows) for name, rows in figures.items()],
    )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else 1e3 * seconds
