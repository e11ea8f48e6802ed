"""What a mask holds: areas, boxes, run lengths, polygons."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import contourpy
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Mask = NDArray[np.uint8]
Point = tuple[float, float]


@dataclass(frozen=True)
class Area:
    """The pixels of one class."""

    id: int
    pixels: int
    box: tuple[int, int, int, int]
    """x, y, width, height of the smallest box around them."""


@dataclass(frozen=True)
class Polygon:
    """A connected region: a closed outline and the outlines of its holes, (x, y) in pixels."""

    exterior: list[Point]
    holes: list[list[Point]]


def areas(mask: Mask) -> list[Area]:
    """The classes present in a mask [H, W], by id."""
    counts = np.array(Image.fromarray(mask).histogram())
    return [
        Area(int(class_id), int(counts[class_id]), _box(mask == class_id))
        for class_id in np.flatnonzero(counts)
    ]


def _box(binary: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(binary.any(1)), np.flatnonzero(binary.any(0))
    left, top = int(columns[0]), int(rows[0])
    return left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1


def run_lengths(binary: NDArray[np.bool_]) -> list[int]:
    """COCO's uncompressed run lengths of a mask [H, W].

    Lengths of runs down the columns, left to right, alternating and starting with "not in".
    """
    flat = binary.ravel(order="F")
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = np.diff(np.concatenate(([0], edges, [flat.size])))
    lengths = [int(run) for run in runs]
    return [0, *lengths] if flat[0] else lengths


def polygons(binary: NDArray[np.bool_], size: tuple[int, int]) -> list[Polygon]:
    """Outlines of the regions in a mask [H, W], in pixels of a picture of `size` (H, W).

    Outlines run between pixel centres, half-way between inside and outside; a single pixel
    becomes a diamond around its centre.
    """
    height, width = binary.shape
    scale_x, scale_y = size[1] / width, size[0] / height
    # A rim of zeros closes outlines at the border.
    padded = np.pad(binary, 1).astype(np.float64)
    lines = contourpy.contour_generator(z=padded, fill_type=contourpy.FillType.OuterOffset)
    regions, offsets = cast(
        "tuple[list[NDArray[np.float64]], list[NDArray[np.uint32]]]", lines.filled(0.5, 2.0)
    )
    found = []
    for points, starts in zip(regions, offsets, strict=True):
        # Vertex (c, r) of the padded grid is the centre of pixel (c - 1, r - 1).
        x = np.clip((points[:, 0] - 0.5) * scale_x, 0, size[1]).round(2)
        y = np.clip((points[:, 1] - 0.5) * scale_y, 0, size[0]).round(2)
        rings = [
            list(zip(x[start:end].tolist(), y[start:end].tolist(), strict=True))
            for start, end in pairwise(starts)
        ]
        found.append(Polygon(rings[0], rings[1:]))
    return found
