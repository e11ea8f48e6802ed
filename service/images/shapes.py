"""What a mask holds: areas, boxes, run lengths, polygons."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import contourpy
import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    import shapely

Mask = NDArray[np.uint8]
Point = tuple[float, float]
TOLERANCE = 1.0
"""Pixels of the picture by which an outline may move, unless another number is asked for."""


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


def compressed_counts(lengths: list[int]) -> str:
    """COCO's text for run lengths, which its tools take as it is.

    Each length but the first three is written as the difference from the one before the last, in
    digits of five bits, the lowest first; a sixth bit says that more follow, and 48 makes it
    printable. The highest bit of the last digit is the sign.
    """
    digits = bytearray()
    for index, length in enumerate(lengths):
        value = length - lengths[index - 2] if index > 2 else length
        more = True
        while more:
            digit = value & 31
            value >>= 5
            more = value != (-1 if digit & 16 else 0)
            digits.append(48 + (digit | 32 if more else digit))
    return digits.decode()


def polygons(
    binary: NDArray[np.bool_], size: tuple[int, int], tolerance: float = TOLERANCE
) -> list[Polygon]:
    """Outlines of the regions in a mask [h, w], in pixels of a picture of `size` (H, W).

    Outlines run between the mask's pixel centres, half-way between inside and outside; a single
    pixel becomes a diamond around its centre. They are then simplified by Douglas and Peucker's
    method, without letting rings cross themselves or each other.

    Args:
        binary: the mask, which may be smaller than the picture.
        size: height and width of the picture.
        tolerance: how far an outline may move from where it was, in pixels of the picture.
    """
    # Three hundredths of a second that most services never need.
    import shapely

    height, width = binary.shape
    scale_x, scale_y = size[1] / width, size[0] / height
    decimals = max(2, 2 - math.floor(math.log10(min(scale_x, scale_y))))
    # A rim of zeros closes outlines at the border.
    padded = np.pad(binary, 1).astype(np.float64)
    lines = contourpy.contour_generator(z=padded, fill_type=contourpy.FillType.OuterOffset)
    regions, offsets = cast(
        "tuple[list[NDArray[np.float64]], list[NDArray[np.uint32]]]", lines.filled(0.5, 2.0)
    )
    found = []
    for points, starts in zip(regions, offsets, strict=True):
        # Vertex (c, r) of the padded grid is the centre of pixel (c - 1, r - 1).
        x = np.clip((points[:, 0] - 0.5) * scale_x, 0, size[1]).round(decimals)
        y = np.clip((points[:, 1] - 0.5) * scale_y, 0, size[0]).round(decimals)
        shell, *holes = np.split(np.column_stack((x, y)), starts[1:-1].astype(np.intp))
        # The points that stay are among those that were, so that they are rounded already.
        simple = shapely.Polygon(shell, holes).simplify(tolerance)
        found.append(Polygon(_points(simple.exterior), [_points(h) for h in simple.interiors]))
    return found


def _points(ring: shapely.LinearRing) -> list[Point]:
    return [(x, y) for x, y in ring.coords]
