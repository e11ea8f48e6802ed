"""Pictures to segment."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.service import pictures


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree with good pictures of several kinds, broken ones and what is none."""
    root = tmp_path_factory.mktemp("photos")
    (root / "sub" / "deep").mkdir(parents=True)
    (root / ".hidden").mkdir()
    photo = pictures.photo(160, 120)
    (root / "one.png").write_bytes(pictures.encoded(photo, "PNG"))
    (root / "one.jpg").write_bytes(pictures.encoded(photo, "JPEG"))
    (root / "sub" / "turned.JPG").write_bytes(pictures.with_orientation(photo, 6))
    (root / "sub" / "deep" / "two.webp").write_bytes(
        pictures.encoded(pictures.photo(90, 150, 1), "WEBP", lossless=True)
    )
    (root / "large.png").write_bytes(pictures.encoded(pictures.photo(2000, 1500, 2), "PNG"))
    (root / "scan.tif").write_bytes(pictures.encoded(photo, "TIFF"))
    (root / "cut.png").write_bytes(pictures.encoded(photo, "PNG")[:300])
    (root / "sub" / "empty.jpg").write_bytes(b"")
    (root / "notes.txt").write_text("no picture")
    (root / ".hidden" / "three.png").write_bytes(pictures.encoded(photo, "PNG"))
    return root
