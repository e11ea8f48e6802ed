"""Every fault of a labelled picture, and what training says about it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export.data.check import check_data
from export.data.datasets import load_dataset
from export.errors import UserError
from tests.conftest import write_folders
from tests.export.runs import data_config


def break_by_wrong_id(root: Path) -> Path:
    path = root / "train" / "masks" / "003.png"
    mask = np.array(Image.open(path))
    mask[5, 5] = 7
    Image.fromarray(mask).save(path)
    return path


def break_by_size(root: Path) -> Path:
    path = root / "train" / "masks" / "003.png"
    Image.open(path).resize((95, 64)).save(path)
    return path


def break_by_colour_mask(root: Path) -> Path:
    path = root / "train" / "masks" / "003.png"
    Image.open(path).convert("RGB").save(path)
    return path


def break_by_depth(root: Path) -> Path:
    path = root / "train" / "masks" / "003.png"
    Image.fromarray(np.zeros((64, 96), np.uint16)).save(path)
    return path


def break_by_deep_picture(root: Path) -> Path:
    path = root / "train" / "images" / "003.png"
    Image.fromarray(np.zeros((64, 96), np.uint16)).save(path)
    return path


def break_by_jpeg(root: Path) -> Path:
    (root / "train" / "masks" / "003.png").unlink()
    path = root / "train" / "masks" / "003.jpg"
    Image.new("L", (96, 64), 1).save(path)
    return path


def break_by_turn(root: Path) -> Path:
    path = root / "train" / "masks" / "003.png"
    Image.open(path).transpose(Image.Transpose.ROTATE_90).save(path)
    return path


def break_by_counting_from_one(root: Path) -> Path:
    path = root / "train" / "masks" / "003.png"
    mask = np.array(Image.open(path))
    Image.fromarray(mask + (mask < 255)).save(path)
    return path


def break_by_grey_drawing(root: Path) -> Path:
    path = root / "train" / "masks" / "003.png"
    Image.linear_gradient("L").resize((96, 64)).save(path)
    return path


def break_by_ending(root: Path) -> Path:
    path = root / "train" / "masks" / "003.png"
    Image.open(path).save(path.with_suffix(".tif"))
    path.unlink()
    return root / "train" / "images" / "003.png"


def break_by_second_mask(root: Path) -> Path:
    path = root / "train" / "masks" / "003.webp"
    Image.new("RGB", (96, 64)).save(path)
    return path


def break_by_missing_mask(root: Path) -> Path:
    (root / "train" / "masks" / "003.png").unlink()
    return root / "train" / "images" / "003.png"


def break_by_missing_picture(root: Path) -> Path:
    (root / "train" / "images" / "003.png").unlink()
    return root / "train" / "masks" / "003.png"


def break_by_truncation(root: Path) -> Path:
    path = root / "train" / "images" / "003.png"
    path.write_bytes(path.read_bytes()[:1000])
    return path


def break_by_chunk(root: Path) -> Path:
    """A damaged length inside a PNG, which Pillow reports as a SyntaxError."""
    path = root / "train" / "images" / "003.png"
    Image.effect_noise((512, 512), 90).convert("RGB").save(path)
    data = bytearray(path.read_bytes())
    second = data.index(b"IDAT", data.index(b"IDAT") + 4)
    data[second : second + 4] = b"\0\0\0\0"
    path.write_bytes(data)
    return path


def break_by_text(root: Path) -> Path:
    path = root / "train" / "masks" / "003.png"
    path.write_text("not a picture")
    return path


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (break_by_wrong_id, "holds the id 7, but .*every id needs a name"),
        (break_by_size, "is 95x64, but its picture 003.png is 96x64"),
        (break_by_colour_mask, "colour mode RGB; .*: turn colours into ids"),
        (break_by_depth, "mask.* more than 8 bits per pixel; save the class ids"),
        (break_by_deep_picture, "more than 8 bits per pixel; scale it"),
        (break_by_jpeg, "is a JPEG, which blurs class ids at their edges; save masks as PNG"),
        (break_by_turn, "is 64x96, but its picture 003.png is 96x64: one of them is turned"),
        (break_by_counting_from_one, "holds the id 3, .*count from 1 instead, subtract 1"),
        (break_by_grey_drawing, "and [0-9]+ more, but there are 3 classes.*: is this a grey"),
        (break_by_ending, "has no mask of the same name .*there is 003.tif: rename or convert it"),
        (break_by_second_mask, "has the same name as 003.png; keep one"),
        (break_by_missing_mask, "has no mask of the same name"),
        (break_by_missing_picture, "has no picture of the same name"),
        (break_by_truncation, "cannot be read as a picture"),
        (break_by_chunk, "cannot be read as a picture"),
        (break_by_text, "cannot be read as a mask"),
    ],
)
def test_broken_data_are_named(tmp_path: Path, damage: Callable[[Path], Path], what: str) -> None:
    root = write_folders(tmp_path, 4)
    path = damage(root)
    with pytest.raises(UserError) as caught:
        check_data(load_dataset(data_config(root), "train"))
    assert str(path) in str(caught.value)
    assert re.search(what, str(caught.value))


def test_many_broken_files_are_counted(tmp_path: Path) -> None:
    root = write_folders(tmp_path, 12)
    for path in (root / "train" / "masks").iterdir():
        path.write_text("not a picture")
    with pytest.raises(UserError, match=r"12 of 12 .* cannot be used") as caught:
        check_data(load_dataset(data_config(root), "train"))
    assert "and 2 more" in str(caught.value)


def test_masks_without_a_labelled_pixel_are_refused(tmp_path: Path) -> None:
    root = write_folders(tmp_path, 1)
    Image.new("L", (96, 64), 255).save(root / "train" / "masks" / "000.png")
    with pytest.raises(UserError, match="ignored"):
        check_data(load_dataset(data_config(root), "train"))
