"""The plots of docs/scale.md: colours that the colour-blind tell apart, and a marker for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from benchmarks.simulate.autoscale import Outcome
from benchmarks.simulate.predict import Row
from benchmarks.simulate.zone import Cost, Failure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""Those of Okabe and Ito."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
STYLES = ("-", "-", "--", "-.", ":", "-", ":")
DPI = 100
Series = Mapping[str, tuple[Sequence[float], Sequence[float]]]
"""x and y by what they are called."""


@contextmanager
def figure(path: Path, columns: int = 1, height: float = 3.6) -> Iterator[Sequence[Axes]]:
    """Axes side by side, saved at the end."""
    drawn, grid = plt.subplots(1, columns, figsize=(4.6 * columns, height), squeeze=False)
    yield list(grid[0])
    for axes in grid[0]:
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    drawn.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without the version of the library the same figures give the same bytes.
    drawn.savefig(path, dpi=DPI, metadata={"Software": None})
    plt.close(drawn)


def lines(axes: Axes, series: Series, markers: bool = True, legend: bool = True) -> None:
    """A line for each, with its name."""
    assert len(series) <= len(COLOURS), "there are more lines than looks"
    looks = zip(series.items(), COLOURS, MARKERS, STYLES, strict=False)
    for order, ((name, (x, y)), colour, marker, style) in enumerate(looks):
        # Each thinner than the one below, so that lines that coincide are all seen.
        axes.plot(x, y, style, color=colour, lw=2.8 - 0.3 * order, label=name)
        if markers:
            axes.plot(x, y, marker, color=colour, ms=4)
    if legend:
        axes.legend(fontsize=8, frameon=False)


def plot_check(rows: Sequence[Row], path: Path) -> None:
    """Measured against predicted latency, by load."""
    setups = list(dict.fromkeys(row.setup for row in rows))
    with figure(path, len(setups)) as grid:
        for axes, setup in zip(grid, setups, strict=True):
            chosen = [row for row in rows if row.setup == setup]
            loads = [100 * row.load for row in chosen]
            for index, (name, colour) in enumerate((("p50", COLOURS[0]), ("p99", COLOURS[1]))):
                real = [1e3 * row.measured[index] for row in chosen]
                told = [1e3 * row.predicted[index] for row in chosen]
                marker = MARKERS[index]
                axes.plot(loads, real, marker, color=colour, ms=6, label=f"{name} measured")
                axes.plot(loads, told, "--", color=colour, lw=1.5, label=f"{name} predicted")
            low, high = zip(*(row.p99_range for row in chosen), strict=True)
            axes.fill_between(
                loads,
                [1e3 * each for each in low],
                [1e3 * each for each in high],
                color=COLOURS[1],
                alpha=0.15,
                label="p99 of 90 % of runs",
            )
            axes.set_title(setup, fontsize=9)
            axes.set_xlabel("arrivals, % of capacity")
            axes.set_ylabel("ms")
            axes.set_ylim(bottom=0)
        grid[0].legend(fontsize=7, frameon=False)


def plot_many(found: Mapping[tuple[str, str], Mapping[int, float]], path: Path) -> None:
    """The utilisation that replicas carry, by their number."""
    traffics = list(dict.fromkeys(traffic for traffic, _ in found))
    with figure(path, len(traffics)) as grid:
        for axes, traffic in zip(grid, traffics, strict=True):
            lines(
                axes,
                {
                    balancer: (list(shares), [100 * share for share in shares.values()])
                    for (kind, balancer), shares in found.items()
                    if kind == traffic
                },
            )
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")
            axes.set_ylim(0, 100)
            axes.set_title(traffic, fontsize=9)
            axes.set_xlabel("replicas")
            axes.set_ylabel("% of capacity carried")


def plot_balancers(
    tails: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]], path: Path
) -> None:
    """p99 by utilisation under each balancer."""
    with figure(path, len(tails)) as grid:
        for axes, (traffic, series) in zip(grid, tails.items(), strict=True):
            lines(
                axes,
                {
                    name: ([100 * share for share, _ in points], [tail for _, tail in points])
                    for name, points in series.items()
                },
            )
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter("{x:g}")
            axes.set_title(traffic, fontsize=9)
            axes.set_xlabel("arrivals, % of capacity")
            axes.set_ylabel("p99, s")


def plot_signals(shown: Mapping[str, Outcome], path: Path) -> None:
    """Replicas and failures over time, by signal."""
    with figure(path, 2) as grid:
        # The same lines as on the right, where there is room for their names.
        lines(
            grid[0],
            {name: (each.times, each.replicas) for name, each in shown.items()},
            markers=False,
            legend=False,
        )
        lines(
            grid[1],
            {
                name: (each.times, [100 * share for share in each.failing])
                for name, each in shown.items()
            },
            markers=False,
        )
        grid[0].set_ylabel("replicas that answer")
        grid[1].set_ylabel("% of the calls unanswered")
        for axes in grid:
            axes.set_xlabel("s")
            axes.set_ylim(bottom=0)


def plot_zones(costs: Mapping[Failure, Cost], path: Path) -> None:
    """Failures by utilisation before, at once and until the replicas are replaced."""
    clients = list(dict.fromkeys(failure.clients for failure in costs))
    with figure(path, 2) as grid:
        for axes, part in zip(grid, ("at_once", "after"), strict=True):
            series: dict[str, tuple[list[float], list[float]]] = {
                name: ([], []) for name in clients
            }
            for failure, cost in costs.items():
                series[failure.clients][0].append(100 * failure.utilisation)
                series[failure.clients][1].append(100 * getattr(cost, part))
            lines(axes, series)
            axes.set_xlabel("utilisation before, %")
            axes.set_ylabel("% of the calls unanswered")
            axes.set_ylim(bottom=0)
        grid[0].set_title("until the balancer notices", fontsize=9)
        grid[1].set_title("until the replicas are replaced", fontsize=9)
