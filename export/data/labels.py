"""Label sets: those of well-known data sets, and one's own from a JSON file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from export.data.classes.ade20k import ADE20K
from export.data.classes.camvid import CAMVID
from export.data.classes.cityscapes import CITYSCAPES
from export.data.classes.voc import VOC
from export.data.label_set import IGNORED, LabelSet, generic_palette
from export.errors import UserError

__all__ = [
    "ADE20K",
    "CAMVID",
    "CITYSCAPES",
    "IGNORED",
    "VOC",
    "LabelSet",
    "check_names",
    "generic_palette",
    "read_labels",
]

LABEL_KEYS = {"names", "palette", "data", "licence", "ignored"}
"""What a label file may hold."""


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
        raise UserError(
            f"cannot read the label file {path}: {error.strerror}; it names the classes, in the "
            'order of their ids: {"names": ["background", "crack"]}'
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f'{path} is not a label file: expected {{"names": ["road", ...]}} and, if wanted, '
            f'"palette", "data", "licence" and "ignored" ({type(error).__name__}: {error})'
        ) from error
    check_names(names, path)
    if ignored is not None and not len(names) <= remap[0][0] <= IGNORED:
        raise UserError(f"{path} ignores the id {ignored}, which is a class or no 8-bit id")
    if len(palette) != len(names):
        raise UserError(f"{path} has {len(palette)} colours for {len(names)} classes")
    if any(not 0 <= channel <= 255 for colour in palette for channel in colour):
        raise UserError(f"{path} has a colour outside 0..255")
    return LabelSet(names, palette, licence, data, remap)


def check_names(names: Sequence[str], source: Path | str) -> None:
    """Refuse names that cannot be those of a model's classes.

    Raises:
        UserError: there are too few or too many, or one stands there twice.
    """
    if len(names) < 2 or len(names) > 255:
        raise UserError(f"{source} names {len(names)} classes; 2 to 255 are possible")
    if len(set(names)) != len(names):
        raise UserError(f"{source} names a class twice")
