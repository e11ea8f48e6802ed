"""The picture of a grid: our runs beside the paper's figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes

from export.ablation.designs import TABLES, Row, Table
from export.ablation.report import Grid, near_edges, quality
from export.evaluation.plots import COLOURS, picture

OURS, PAPER = COLOURS[0], COLOURS[1]


def draw_grid(grid: Grid, tables: Sequence[str], backbone: str, path: Path) -> None:
    """Write one panel for each table: every run a dot, mean and deviation, the paper's mean IoU.

    The paper's figures are of another data set and have an axis of their own, as long as ours. The
    last panel shows the quality near label edges, without decoder where that was trained, and with
    the paper's.
    """
    ratios = [*(1 + len(TABLES[name].rows) for name in tables), 5]
    with picture(path, 1.6 + 0.72 * sum(ratios), 4.6) as figure:
        *panels, last = figure.subplots(1, len(ratios), width_ratios=ratios)
        figure.suptitle(
            f"Decoder designs on {backbone}: dots are runs, squares their mean and deviation, "
            "diamonds the paper's",
            x=0.01,
            ha="left",
            fontweight="bold",
        )
        for axes, name in zip(panels, tables, strict=True):
            _draw_table(axes, grid, TABLES[name], backbone)
        _draw_edges(last, grid, TABLES[tables[-1]].rows)


def _draw_table(axes: Axes, grid: Grid, table: Table, backbone: str) -> None:
    places = range(len(table.rows))
    spreads = [quality(grid, row) for row in table.rows]
    for place, spread in zip(places, spreads, strict=True):
        axes.plot(
            [place] * len(spread.values),
            spread.values,
            linestyle="none",
            marker="o",
            markersize=4,
            alpha=0.45,
            color=OURS,
        )
    axes.errorbar(
        [place - 0.12 for place in places],
        [spread.mean for spread in spreads],
        [spread.deviation or 0.0 for spread in spreads],
        linestyle="none",
        marker="s",
        capsize=3,
        color=OURS,
    )
    axes.set_xticks(places, [row.label for row in table.rows], rotation=35, ha="right")
    axes.set_xlim(-0.6, len(table.rows) - 0.4)
    axes.set_ylabel("mean IoU here, %", color=OURS)
    axes.set_title(table.title.split(":")[0])
    axes.grid(visible=True, axis="y")
    _draw_paper(axes, *table.published(backbone))


def _draw_paper(axes: Axes, network: str, published: Sequence[float]) -> None:
    other = axes.twinx()
    places = [place + 0.12 for place in range(len(published))]
    other.plot(places, published, linestyle="none", marker="D", color=PAPER)
    low, high = axes.get_ylim()
    middle, centre = sum(published) / len(published), (low + high) / 2
    half = max((high - low) / 2, *(1.2 * abs(value - middle) for value in published))
    other.set_ylim(middle - half, middle + half)
    axes.set_ylim(centre - half, centre + half)
    other.set_ylabel(f"paper, {network}, %", color=PAPER)
    other.spines["right"].set_visible(True)


def _draw_edges(axes: Axes, grid: Grid, rows: Sequence[Row]) -> None:
    for row in rows:
        curve = near_edges(grid, row.design)
        axes.errorbar(
            [float(width) for width in curve],
            [spread.mean for spread in curve.values()],
            [spread.deviation or 0.0 for spread in curve.values()],
            capsize=3,
            label=row.label,
        )
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set(xlabel="pixels from a label edge, at most", ylabel="mean IoU there, %")
    axes.set_title("Near edges")
    axes.grid(visible=True)
    axes.legend(loc="lower right")
