"""Which pictures are meant, and what is made of those whose names are nearly the same."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from service.predict.sources import find_pictures

NAMES = ("a.jpg", "a.png", "a.jpg.webp", "b.jpg", "b.jpg.webp", "c.jpg", "c.d.jpg")


def test_no_two_pictures_become_one_file(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / name).touch()
    items, _ = find_pictures([str(tmp_path)], tmp_path / "out")
    assert {item.name: item.target for item in items} == {
        "a.jpg": "a.jpg",
        "a.png": "a.png",
        "a.jpg.webp": "a.jpg.webp",
        "b.jpg": "b",
        "b.jpg.webp": "b.jpg.webp",
        "c.jpg": "c",
        "c.d.jpg": "c.d",
    }


def test_a_picture_that_is_named_twice_is_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for name in ("a.jpg", "b.jpg"):
        Path("photos", name).touch()
    items, _ = find_pictures(["photos", f"{tmp_path}/photos/a.jpg"], tmp_path / "out")
    assert [(item.name, item.target) for item in items] == [("a.jpg", "a"), ("b.jpg", "b")]


def test_a_folder_that_cannot_be_read_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("open/a.jpg", "shut/b.jpg"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    scandir = os.scandir

    def denied(path: str) -> Any:
        if Path(path).name == "shut":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    items, _ = find_pictures([str(tmp_path)], tmp_path / "out")
    assert [item.name for item in items] == ["open/a.jpg", "shut"]
    with pytest.raises(OSError):  # noqa: PT011 - which one depends on who may read folders
        items[1].read()
