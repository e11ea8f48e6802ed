"""Class names of an adopted file, from wherever the user has them."""

from __future__ import annotations

from pathlib import Path

from export.data.labels import (
    ADE20K,
    CAMVID,
    CITYSCAPES,
    VOC,
    LabelSet,
    check_names,
    generic_palette,
    read_labels,
)
from export.errors import UserError

KNOWN = {"voc": VOC, "cityscapes": CITYSCAPES, "ade20k": ADE20K, "camvid": CAMVID}
UNSTATED = "not stated"


def labels_of(text: str) -> LabelSet:
    """The classes that a text stands for.

    Args:
        text: a well-known data set, a JSON label file, a text file with a name on each line, or
            the names themselves with commas between them.

    Raises:
        UserError: it is none of these.
    """
    if text in KNOWN:
        return KNOWN[text]
    path = Path(text)
    if path.suffix == ".json":
        return read_labels(path)
    if path.suffix == ".txt":
        names = _lines(path)
    elif "," in text:
        names = [name.strip() for name in text.split(",")]
    else:
        raise UserError(
            f"--labels is {text!r}; give {', '.join(KNOWN)}, a .json or .txt file, or the names "
            "with commas between them"
        )
    check_names(names, "--labels")
    return LabelSet(tuple(names), generic_palette(len(names)), UNSTATED)


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UserError(f"cannot read the labels {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} should list names, but is no text in UTF-8 ({error})") from error
    return [line.strip() for line in lines if line.strip()]
