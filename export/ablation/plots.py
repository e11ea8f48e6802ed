"""The picture of a grid: our runs beside the paper's figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes

from export.ablation.designs import TABLES, Table
from export.ablation.report import Grid, quality
from export.evaluation.plots import COLOURS, picture

OURS, PAPER = COLOURS[0], COLOURS[1]


def draw_grid(grid: Grid, tables: Sequence[str], backbone: str, path: Path) -> None:
    """Write one panel for each table: every run a dot, mean and deviation, the paper's mean IoU.

    The paper's figures are of another data set and have an axis of their own, as long as ours.
    """
    ratios = [1 + len(TABLES[name].rows) for name in tables]
    with picture(path, 1.6 + 0.72 * sum(ratios), 4.6) as figure:
        panels = figure.subplots(1, len(tables), width_ratios=ratios, squeeze=False)[0]
        figure.suptitle(f"Decoder designs on {backbone}", x=0.01, ha="left", fontweight="bold")
        for axes, name in zip(panels, tables, strict=True):
            _draw_table(axes, grid, TABLES[name], backbone.split("_")[0])


def _draw_table(axes: Axes, grid: Grid, table: Table, family: str) -> None:
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
    axes.set_ylabel("mean IoU here, % (mean and deviation, dots are runs)", color=OURS)
    axes.set_title(table.title.split(":")[0])
    axes.grid(visible=True, axis="y")
    known = [
        (place, row.paper[family])
        for place, row in zip(places, table.rows, strict=True)
        if family in row.paper
    ]
    if known:
        _draw_paper(axes, known)


def _draw_paper(axes: Axes, known: Sequence[tuple[int, float]]) -> None:
    other = axes.twinx()
    other.plot(
        [place + 0.12 for place, _ in known],
        [value for _, value in known],
        linestyle="none",
        marker="D",
        color=PAPER,
    )
    low, high = axes.get_ylim()
    middle = sum(value for _, value in known) / len(known)
    half = max((high - low) / 2, *(1.2 * abs(value - middle) for _, value in known))
    other.set_ylim(middle - half, middle + half)
    centre = (low + high) / 2
    axes.set_ylim(centre - half, centre + half)
    other.set_ylabel("the paper's mean IoU, %", color=PAPER)
    other.spines["right"].set_visible(True)
