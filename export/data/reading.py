"""Pictures and label maps as arrays, or the reason why a file cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from export.data.label_set import IGNORED, LabelSet
from export.errors import UserError

SPREAD = {"L;2": 85, "L;4": 17}
"""Step between the values that Pillow makes of greyscale files with 2 and 4 bits."""
DEEP = ("I", "I;16", "I;16L", "I;16B", "I;16N", "F")
"""Modes with more than 8 bits per pixel."""
SHOWN_IDS = 10
GUIDE = "docs/data.md shows how"


class Sample(NamedTuple):
    """A picture and its label map."""

    image: Path
    mask: Path


class UnusableFile(UserError):
    """A file of a data set cannot be used."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


def read_pair(sample: Sample, labels: LabelSet) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A picture as RGB uint8 [H, W, 3] and its label map as uint8 [H, W].

    Ids are those of the network, IGNORED where a pixel has no class.

    Raises:
        UnusableFile: names the file that cannot be used and why.
    """
    image = read_image(sample.image)
    mask = read_mask(sample.mask, labels)
    if mask.shape != image.shape[:2]:
        raise UnusableFile(sample.mask, _other_size(mask.shape, image.shape, sample.image.name))
    return image, mask


def read_image(path: Path) -> NDArray[np.uint8]:
    """A picture as RGB uint8 [H, W, 3].

    Raises:
        UnusableFile: it cannot be read.
    """
    return _read(path, "picture", _decode_image)


def read_mask(path: Path, labels: LabelSet) -> NDArray[np.uint8]:
    """A label map as uint8 [H, W] with the ids of the network, IGNORED where there is no class.

    Raises:
        UnusableFile: it cannot be read, or holds an id that is no class.
    """
    raw = _read(path, "mask", _decode_mask)
    mask = labels.decode(raw)
    wrong = (mask >= len(labels.names)) & (mask != IGNORED)
    if wrong.any():
        raise UnusableFile(path, _wrong_ids([int(i) for i in np.unique(raw[wrong])], labels))
    return mask


def _read(
    path: Path, kind: str, decode: Callable[[Image.Image], NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as image:
            return decode(image)
    except UserError as error:
        raise UnusableFile(path, str(error)) from error
    except FileNotFoundError as error:
        raise UnusableFile(path, "does not exist") from error
    except Exception as error:  # what a decoder raises on broken files is not a closed list
        raise UnusableFile(path, f"cannot be read as a {kind} ({error})") from error


def _decode_image(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode in DEEP:
        raise UserError("has more than 8 bits per pixel; scale it to 8 bits and save it anew")
    return np.asarray(image.convert("RGB"))


def _decode_mask(image: Image.Image) -> NDArray[np.uint8]:
    if image.format == "JPEG":
        raise UserError("is a JPEG, which blurs class ids at their edges; save masks as PNG")
    if image.mode in DEEP:
        raise UserError(
            "has more than 8 bits per pixel; save the class ids as an 8-bit greyscale PNG"
        )
    if image.mode not in ("L", "P", "1"):
        raise UserError(
            f"has the colour mode {image.mode}; a mask holds one class id per pixel "
            f"(an 8-bit greyscale or palette PNG): turn colours into ids, {GUIDE}"
        )
    tiles = image.tile if isinstance(image, ImageFile.ImageFile) else []
    step = max((SPREAD.get(str(tile.args), 1) for tile in tiles), default=1)
    return np.asarray(image).astype(np.uint8) // np.uint8(step)


def _other_size(mask: tuple[int, ...], image: tuple[int, ...], name: str) -> str:
    sizes = f"is {mask[1]}x{mask[0]}, but its picture {name} is {image[1]}x{image[0]}"
    if mask == image[1::-1]:
        return (
            f"{sizes}: one of them is turned, perhaps by an EXIF orientation, which is not "
            "applied here; save the picture upright"
        )
    return f"{sizes}: give them one size (masks by nearest neighbour, so that ids stay ids)"


def _wrong_ids(wrong: list[int], labels: LabelSet) -> str:
    """What is wrong with ids as the file has them, and what to do."""
    classes = np.flatnonzero(labels.table < len(labels.names))
    ignored = ", ".join(map(str, np.flatnonzero(labels.table == IGNORED)))
    more = f" and {len(wrong) - SHOWN_IDS} more" if len(wrong) > SHOWN_IDS else ""
    found = (
        f"holds the id {', '.join(map(str, wrong[:SHOWN_IDS]))}{more}, but there are "
        f"{len(classes)} classes ({classes[0]}..{classes[-1]}) and {ignored} is ignored"
    )
    if more:
        return f"{found}: is this a grey drawing, or a mask that was resized smoothly?"
    if wrong == [classes[-1] + 1]:
        first = classes[0]
        return f"{found}: if these ids count from {first + 1} instead, subtract 1, {GUIDE}"
    return (
        f"{found}: every id needs a name (in the label file of plain folders), and pixels of no "
        f"class must be {IGNORED}"
    )
