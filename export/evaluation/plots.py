"""Pictures of what was measured, in one style."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from export.evaluation.metrics import ConfusionMatrix
from export.evaluation.trimap import Trimap
from export.files import write_whole

COLOURS = ("#0b5fa5", "#d1495b", "#2e8b57", "#e08e0b", "#7b4fa3", "#1b9aaa", "#8c564b", "#5c6770")
"""Of curves and bars, in this order."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "d")
INK, FAINT = "#22272e", "#d5dae0"
STYLE = mpl.RcParams(
    {
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "axes.prop_cycle": cycler(color=COLOURS, marker=MARKERS),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "font.size": 10,
        "grid.color": FAINT,
        "legend.frameon": False,
        "lines.linewidth": 1.8,
        "lines.markersize": 5,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
    }
)
DPI = 160


@contextmanager
def picture(path: Path, width: float, height: float) -> Iterator[Figure]:
    """A figure of so many inches in the project's style, written as PNG at the end."""
    with mpl.rc_context(STYLE):
        figure = Figure((width, height), dpi=DPI, layout="constrained", facecolor="white")
        yield figure
        data = io.BytesIO()
        figure.savefig(data, format="png", metadata={"Software": None})
    write_whole(path, data.getvalue())


def draw_confusion(matrix: ConfusionMatrix, names: tuple[str, ...], title: str, path: Path) -> None:
    """Write the matrix, normalised by row, beside each class's IoU.

    Args:
        matrix: what was counted.
        names: of its classes.
        title: stands above.
        path: PNG file to write.
    """
    side = max(4.0, 0.42 * len(names))
    with picture(path, 1.5 * side + 1.8, side + 1.4) as figure:
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2.4, 1))
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
        _draw_shares(left, matrix, names)
        _draw_iou(right, matrix)


def _draw_shares(axes: Axes, matrix: ConfusionMatrix, names: tuple[str, ...]) -> None:
    shares = 100 * matrix.shares
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.5:
            colour = "white" if share > 55 else INK
            axes.text(
                column, row, f"{share:.0f}", ha="center", va="center", color=colour, fontsize=8
            )
    places = range(len(names))
    axes.set_xticks(places, names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, names)
    axes.set(xlabel="predicted", ylabel="true class")
    axes.set_title("of a true class, % taken for")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    # White lines between the cells.
    axes.set_xticks(np.arange(len(names) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(names) - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1)
    axes.tick_params(which="minor", length=0)


def _draw_iou(axes: Axes, matrix: ConfusionMatrix) -> None:
    iou = 100 * matrix.iou
    axes.barh(np.arange(len(iou)), np.nan_to_num(iou), height=0.72, color=COLOURS[0])
    for row, value in enumerate(iou):
        text = "none" if np.isnan(value) else f"{value:.1f}"
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        axes.text(np.nan_to_num(value) + 2, row, text, va="center", fontsize=8, bbox=box)
    axes.axvline(100 * matrix.mean_iou, color=COLOURS[1], linestyle="--", linewidth=1.2, zorder=0)
    axes.set(xlim=(0, 112), xticks=range(0, 101, 25), xlabel="IoU, %")
    axes.set_title(f"IoU, %; dashed: mean {100 * matrix.mean_iou:.1f}")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(which="minor", length=0)


def draw_trimaps(trimaps: dict[str, Trimap], title: str, path: Path) -> None:
    """Write one curve for each model: mean IoU over the width of the band.

    Args:
        trimaps: by the name of the model, all of the same widths.
        title: stands above.
        path: PNG file to write.
    """
    with picture(path, 6.4, 4.4) as figure:
        axes = figure.subplots()
        for name, trimap in trimaps.items():
            curve = trimap.curve
            axes.plot(
                [point.width for point in curve],
                [100 * point.mean_iou for point in curve],
                label=name,
            )
        subject = next(iter(trimaps.values())).subject
        axes.set(xlabel=f"width of the band around {subject}, pixels", ylabel="mean IoU in it, %")
        axes.set_xlim(left=0)
        axes.set_title(title)
        axes.grid(visible=True)
        axes.legend(loc="lower right")
