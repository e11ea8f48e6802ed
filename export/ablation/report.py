"""A grid's results beside the paper's: tables to read and a picture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from export.ablation.designs import PAPER_CHANNELS, TABLES, Design, Row, Table, designs
from export.ablation.result import Result
from export.evaluation.text import billions, markdown

Grid = dict[str, dict[int, Result]]
"""Results by design, then by seed."""


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation of several runs, in percent; no deviation of one."""

    values: tuple[float, ...]

    @classmethod
    def of(cls, shares: Iterable[float | None]) -> Spread:
        """Of shares between 0 and 1; None, where there was nothing to measure, is left out."""
        return cls(tuple(100 * share for share in shares if share is not None))

    @property
    def mean(self) -> float:
        return mean(self.values) if self.values else math.nan

    @property
    def deviation(self) -> float | None:
        return stdev(self.values) if len(self.values) > 1 else None

    def text(self, sign: str = "") -> str:
        if not self.values:
            return "-"
        around = "" if self.deviation is None else f" ± {self.deviation:.2f}"
        return f"{self.mean:{sign}.2f}{around}"


def grid_of(results: Sequence[Result]) -> Grid:
    grid: Grid = {}
    for result in results:
        grid.setdefault(result.design, {})[result.seed] = result
    return grid


def quality(grid: Grid, row: Row) -> Spread:
    """Mean IoU of a design over its seeds."""
    return Spread.of(result.mean_iou for result in grid[row.design.name].values())


def difference(grid: Grid, table: Table, row: Row) -> Spread:
    """How much better than the paper's choice, seed by seed.

    Runs of one seed see the same samples in the same order, so their difference is less noisy
    than the difference of the means.
    """
    choice = grid[table.choice.name]
    return Spread.of(
        result.mean_iou - choice[seed].mean_iou for seed, result in grid[row.design.name].items()
    )


def report(grid: Grid, tables: Sequence[str], backbone: str) -> str:
    """All tables in Markdown, with the paper's figures in the last column."""
    return "\n\n".join(
        [
            *(table_text(grid, TABLES[name], backbone) for name in tables),
            trimap_text(grid, tables),
            class_text(grid, tables),
        ]
    )


def table_text(grid: Grid, table: Table, backbone: str) -> str:
    """One table: designs, mean IoU, difference to the paper's choice, cost, the paper's.

    The paper's mean IoU is that of its nearest network on Pascal VOC; tables 1 and 2 it has for
    ResNet-101 alone.
    """
    network, published = table.published(backbone)
    chosen = next(row.label for row in table.rows if row.design == table.choice)
    costs = ["parameters", "multiply-adds"]
    rows = [[table.column, "mean IoU", f"against {chosen}", *costs, f"paper, {network}"]]
    for row, figure in zip(table.rows, published, strict=True):
        first = next(iter(grid[row.design.name].values()))
        same = row.design == table.choice
        rows.append(
            [
                row.label,
                quality(grid, row).text(),
                "" if same else difference(grid, table, row).text("+"),
                f"{first.parameters:,}",
                billions(first.multiply_adds),
                f"{figure:.2f}",
            ]
        )
    chosen_runs = grid[table.choice.name]
    scale = next(iter(chosen_runs.values())).settings["model"]["aspp_channels"] / PAPER_CHANNELS
    widths = f", widths x {scale:g}" if scale != 1 else ""
    title = f"{table.title} ({backbone}{widths}, {len(chosen_runs)} seeds)"
    return f"{title}\n\n{markdown(rows)}"


def near_edges(grid: Grid, design: Design) -> dict[str, Spread]:
    """Mean IoU near label edges over the seeds of a design, by the band's width in pixels."""
    results = list(grid[design.name].values())
    return {
        width: Spread.of(result.trimap[width] for result in results) for width in results[0].trimap
    }


def trimap_text(grid: Grid, tables: Sequence[str]) -> str:
    """Mean IoU near label edges for every design."""
    lines = []
    for design in designs(tables):
        curve = near_edges(grid, design)
        lines.append([design.name, *(spread.text() for spread in curve.values())])
    head = ["design", *(f"{width} px" for width in curve)]
    return f"Mean IoU within so many pixels of label edges\n\n{markdown([head, *lines])}"


def class_text(grid: Grid, tables: Sequence[str]) -> str:
    """Every class's IoU over the seeds, for every design."""
    shown = designs(tables)
    names = list(next(iter(grid[shown[0].name].values())).per_class)
    lines = [["design", *names]]
    for design in shown:
        results = grid[design.name].values()
        spreads = [Spread.of(result.per_class[name] for result in results) for name in names]
        lines.append([design.name, *(spread.text() for spread in spreads)])
    return f"IoU by class\n\n{markdown(lines)}"
