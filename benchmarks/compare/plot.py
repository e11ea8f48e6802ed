"""The figures as a picture."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.compare.parts import Figures, Row
from benchmarks.compare.rivals import OURS, RIVALS
from benchmarks.simulate.plots import COLOURS, figure

PANELS: tuple[tuple[str, Callable[[Row], float], str], ...] = (
    ("real", lambda row: row["at_1"]["rate"], "masks/s, 1 client"),
    ("real", lambda row: row["at_32"]["rate"], "masks/s, 32 clients"),
    ("overload", lambda row: row["goodput"], "masks/s in time, 4 times the load"),
)


def plot(results: Mapping[str, Figures], path: Path) -> None:
    """A bar for each server: the median of the turns, and a line from the least to the most."""
    panels = [panel for panel in PANELS if panel[0] in results]
    with figure(path, len(panels), height=2.8) as grid:
        for axes, (part, value, title) in zip(grid, panels, strict=True):
            figures = results[part]
            names = list(figures)
            values = {name: [value(row) for row in rows] for name, rows in figures.items()}
            middle = [statistics.median(values[name]) for name in names]
            reach = [
                [each - min(values[name]) for name, each in zip(names, middle, strict=True)],
                [max(values[name]) - each for name, each in zip(names, middle, strict=True)],
            ]
            axes.barh(
                [RIVALS[name].title for name in names],
                middle,
                xerr=reach,
                color=[COLOURS[1] if name == OURS else COLOURS[0] for name in names],
                error_kw={"lw": 1, "capsize": 3},
            )
            axes.invert_yaxis()
            axes.set_axisbelow(True)
            axes.set_xlabel(title)
