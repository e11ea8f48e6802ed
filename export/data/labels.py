"""Label sets: what each class id means, how it is drawn, which ids are not classes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.errors import UserError

IGNORED = 255
"""The id that every label map uses in memory for pixels that count neither way."""

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class LabelSet:
    """The classes of a data set."""

    names: tuple[str, ...]
    palette: tuple[Colour, ...]
    licence: str
    """What the data may be used for; travels with every model trained on it."""
    data: str = ""
    """What the pictures are called, where their layout does not say it."""
    remap: tuple[tuple[int, int], ...] = ()
    """(id in the files, id in memory) where they differ; IGNORED in memory is no class."""

    def decode(self, raw: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Ids in memory for ids as a file has them, both uint8 of any shape."""
        table = np.arange(256, dtype=np.uint8)
        for stored, meant in self.remap:
            table[stored] = meant
        return table[raw]


LABEL_KEYS = {"names", "palette", "data", "licence", "ignored"}
"""What a label file may hold."""


def generic_palette(count: int) -> tuple[Colour, ...]:
    """`count` colours that neighbours in the list tell apart: Pascal VOC's bit-reversal."""
    colours = []
    for index in range(count):
        channels = [0, 0, 0]
        bits = index
        for shift in range(7, -1, -1):
            for channel in range(3):
                channels[channel] |= ((bits >> channel) & 1) << shift
            bits >>= 3
        colours.append((channels[0], channels[1], channels[2]))
    return tuple(colours)


CAMVID = LabelSet(
    names=(
        "Sky",
        "Building",
        "Pole",
        "Road",
        "Pavement",
        "Tree",
        "SignSymbol",
        "Fence",
        "Car",
        "Pedestrian",
        "Bicyclist",
    ),
    palette=(
        (128, 128, 128),
        (128, 0, 0),
        (192, 192, 128),
        (128, 64, 128),
        (0, 0, 192),
        (128, 128, 0),
        (192, 128, 128),
        (64, 64, 128),
        (64, 0, 128),
        (64, 64, 0),
        (0, 128, 192),
    ),
    licence="CamVid: personal and research use only (CC BY-NC 4.0)",
    remap=((11, IGNORED),),
)

VOC = LabelSet(
    names=(
        "background",
        "aeroplane",
        "bicycle",
        "bird",
        "boat",
        "bottle",
        "bus",
        "car",
        "cat",
        "chair",
        "cow",
        "diningtable",
        "dog",
        "horse",
        "motorbike",
        "person",
        "pottedplant",
        "sheep",
        "sofa",
        "train",
        "tvmonitor",
    ),
    palette=generic_palette(21),
    licence="Pascal VOC 2012: Flickr terms of use, research",
)

_CITYSCAPES = (
    (7, "road", (128, 64, 128)),
    (8, "sidewalk", (244, 35, 232)),
    (11, "building", (70, 70, 70)),
    (12, "wall", (102, 102, 156)),
    (13, "fence", (190, 153, 153)),
    (17, "pole", (153, 153, 153)),
    (19, "traffic light", (250, 170, 30)),
    (20, "traffic sign", (220, 220, 0)),
    (21, "vegetation", (107, 142, 35)),
    (22, "terrain", (152, 251, 152)),
    (23, "sky", (70, 130, 180)),
    (24, "person", (220, 20, 60)),
    (25, "rider", (255, 0, 0)),
    (26, "car", (0, 0, 142)),
    (27, "truck", (0, 0, 70)),
    (28, "bus", (0, 60, 100)),
    (31, "train", (0, 80, 100)),
    (32, "motorcycle", (0, 0, 230)),
    (33, "bicycle", (119, 11, 32)),
)
"""(id in labelIds files, name, colour) of the 19 evaluated classes, in training order."""


def _cityscapes_remap() -> tuple[tuple[int, int], ...]:
    train_ids = {stored: index for index, (stored, _, _) in enumerate(_CITYSCAPES)}
    return tuple((stored, train_ids.get(stored, IGNORED)) for stored in range(256))


CITYSCAPES = LabelSet(
    names=tuple(name for _, name, _ in _CITYSCAPES),
    palette=tuple(colour for _, _, colour in _CITYSCAPES),
    licence="Cityscapes: non-commercial research and teaching",
    remap=_cityscapes_remap(),
)


def read_labels(path: Path) -> LabelSet:
    """A label set from a JSON file of one's own.

    The file holds `{"names": ["road", ...]}` and, if wanted, "palette" ([[r, g, b], ...]),
    "data" (what the pictures are called), "licence" (what they may be used for) and "ignored"
    (an id that means "no class" beside 255).

    Raises:
        UserError: the file cannot be read or does not hold that.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        names = tuple(str(name) for name in content["names"])
        if unknown := set(content) - LABEL_KEYS:
            raise UserError(f"{path} has the unknown key {unknown.pop()!r}")
        colours = content.get("palette")
        palette = (
            tuple((int(r), int(g), int(b)) for r, g, b in colours)
            if colours is not None
            else generic_palette(len(names))
        )
        licence = str(content.get("licence", "not stated"))
        data = str(content.get("data", "own pictures"))
        ignored = content.get("ignored")
        remap: tuple[tuple[int, int], ...] = () if ignored is None else ((int(ignored), IGNORED),)
    except OSError as error:
        raise UserError(f"cannot read the label file {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f'{path} is not a label file: expected {{"names": ["road", ...]}} and, if wanted, '
            f'"palette", "data", "licence" and "ignored" ({type(error).__name__}: {error})'
        ) from error
    if len(names) < 2 or len(names) > 255:
        raise UserError(f"{path} names {len(names)} classes; 2 to 255 are possible")
    if len(set(names)) != len(names):
        raise UserError(f"{path} names a class twice")
    if ignored is not None and not len(names) <= remap[0][0] <= IGNORED:
        raise UserError(f"{path} ignores the id {ignored}, which is a class or no 8-bit id")
    if len(palette) != len(names):
        raise UserError(f"{path} has {len(palette)} colours for {len(names)} classes")
    if any(not 0 <= channel <= 255 for colour in palette for channel in colour):
        raise UserError(f"{path} has a colour outside 0..255")
    return LabelSet(names, palette, licence, data, remap)
