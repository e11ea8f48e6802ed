"""What is made of pictures whose names are nearly the same."""

from __future__ import annotations

from pathlib import Path

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
