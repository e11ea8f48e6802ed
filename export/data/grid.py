"""A sheet of labelled pictures to look at: each beside its labels, in their colours."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps
from scipy.ndimage import distance_transform_edt

from export.data.check import Survey
from export.data.datasets import DataSet, Sample, read_pair
from export.data.labels import IGNORED, LabelSet
from export.data.pictures import spread

CELL = (300, 225)
"""Width and height of the box that a picture, and beside it its labels, is fitted into."""
PAIRS = 3
"""Pictures beside each other."""
GAP = 12
LINE = 22
"""Height of a caption."""
PAPER, INK, FAINT = (250, 250, 250), (30, 30, 30), (110, 110, 110)
LABEL_WEIGHT = 0.65
EDGE_WEIGHT = 0.5
HATCH = 8
"""Pixels from one stripe over ignored parts to the next."""
STROKE = 2
"""Width of the outline of a class's name."""
ROOM = 9
"""A class is named where a disc of this radius fits inside it."""

RGB = NDArray[np.uint8]
Ids = NDArray[np.uint8]


def draw_grid(surveys: Sequence[Survey], count: int) -> bytes:
    """A PNG of usable pictures with their labels drawn in, and a legend of the classes in them.

    Args:
        surveys: splits of one data set.
        count: pictures to draw of each, at most.
    """
    width = GAP + PAIRS * (2 * CELL[0] + GAP)
    seen: set[int] = set()
    strips = []
    for survey in surveys:
        samples = spread(survey.usable, count)
        strips.append(_caption(survey.dataset, len(samples), width))
        for start in range(0, len(samples), PAIRS):
            strips.append(_row(samples[start : start + PAIRS], survey.dataset, width, seen))
    strips.append(_legend(surveys[0].dataset.labels, seen, width))
    sheet = Image.new("RGB", (width, sum(strip.height for strip in strips)), PAPER)
    top = 0
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height
    out = io.BytesIO()
    sheet.save(out, "PNG")
    return out.getvalue()


def overlay(image: RGB, mask: Ids, labels: LabelSet) -> RGB:
    """Labels in their colours over the grey picture; what is ignored is black with stripes.

    Args:
        image: uint8 [H, W, 3].
        mask: uint8 [H, W], ids in memory.
        labels: the palette.

    Returns:
        uint8 [H, W, 3].
    """
    colours = np.zeros((256, 3), np.float32)
    colours[: len(labels.palette)] = labels.palette
    grey = np.asarray(Image.fromarray(image).convert("L"), dtype=np.float32)[..., None]
    drawn = LABEL_WEIGHT * colours[mask] + (1 - LABEL_WEIGHT) * grey
    drawn[_edges(mask)] += EDGE_WEIGHT * (255 - drawn[_edges(mask)])
    rows, columns = np.indices(mask.shape)
    stripes = ((rows + columns) % HATCH == 0)[..., None] * np.float32(150)
    return np.where((mask == IGNORED)[..., None], stripes, drawn).astype(np.uint8)


def _edges(mask: Ids) -> NDArray[np.bool_]:
    """Where the pixel to the right or below has another id."""
    edges = np.zeros(mask.shape, bool)
    edges[:, :-1] |= mask[:, :-1] != mask[:, 1:]
    edges[:-1] |= mask[:-1] != mask[1:]
    return edges


def _row(samples: Sequence[Sample], dataset: DataSet, width: int, seen: set[int]) -> Image.Image:
    row = Image.new("RGB", (width, CELL[1] + LINE + GAP), PAPER)
    for place, sample in enumerate(samples):
        image, mask = read_pair(sample, dataset.labels)
        seen.update(int(index) for index in np.unique(mask))
        left = GAP + place * (2 * CELL[0] + GAP)
        picture = ImageOps.contain(Image.fromarray(image), CELL)
        small = Image.fromarray(mask).resize(picture.size, Image.Resampling.NEAREST)
        drawn = _name_classes(np.asarray(picture), np.asarray(small), dataset.labels)
        row.paste(picture, (left, 0))
        row.paste(drawn, (left + picture.width, 0))
        caption = f"{sample.image.name}, {image.shape[1]}x{image.shape[0]}"
        ImageDraw.Draw(row).text((left, picture.height + 3), caption, FAINT, _font(13))
    return row


def _name_classes(image: RGB, mask: Ids, labels: LabelSet) -> Image.Image:
    """The overlay with each class named once, where there is most room."""
    drawn = Image.fromarray(overlay(image, mask, labels))
    pen, font = ImageDraw.Draw(drawn), _font(13)
    for index in np.unique(mask[mask != IGNORED]):
        room = distance_transform_edt(np.pad(mask == index, 1))[1:-1, 1:-1]
        if room.max() < ROOM:
            continue
        row, column = (int(place) for place in np.unravel_index(room.argmax(), room.shape))
        half = int(pen.textlength(labels.names[index], font)) // 2 + STROKE
        column = max(half, min(column, drawn.width - half))
        pen.text(
            (column, row),
            labels.names[index],
            "white",
            font,
            anchor="mm",
            stroke_width=STROKE,
            stroke_fill="black",
        )
    return drawn


def _caption(dataset: DataSet, shown: int, width: int) -> Image.Image:
    strip = Image.new("RGB", (width, LINE + 2 * GAP), PAPER)
    text = f"{dataset.name}, {dataset.split}: {shown} of {len(dataset.samples):,} pictures"
    ImageDraw.Draw(strip).text((GAP, GAP), text, INK, _font(20))
    return strip


def _legend(labels: LabelSet, seen: set[int], width: int) -> Image.Image:
    """A swatch, the id and the name of every class that was drawn."""
    column, swatch = 200, 16
    columns = (width - 2 * GAP) // column
    shown = sorted(seen)
    strip = Image.new("RGB", (width, -(-len(shown) // columns) * LINE + 2 * GAP), PAPER)
    pen = ImageDraw.Draw(strip)
    for place, index in enumerate(shown):
        left, top = GAP + place % columns * column, GAP + place // columns * LINE
        patch = np.full((swatch, swatch), index, np.uint8)
        plain = np.full((swatch, swatch, 3), 128, np.uint8)
        strip.paste(Image.fromarray(overlay(plain, patch, labels)), (left, top))
        name = "ignored" if index == IGNORED else f"{index} {labels.names[index]}"
        pen.text((left + swatch + 6, top), name, INK, _font(14))
    return strip


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
