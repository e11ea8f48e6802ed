"""docs/client.md: its code runs as it stands there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from service.settings import SAMPLE_PICTURE
from tests.e2e.conftest import Server, serving
from tests.e2e.test_docs import ADDRESS, run_python
from tests.pages import Page
from tests.service import pictures

PAGE = Page("docs/client.md")
SHOWN = {
    "overlay(": ["(576, 768)", "Building: "],
    "asyncio.run": ["one.jpg [", "two.jpg ["],
    "ProblemError": ["415 unsupported_format this is not a picture"],
}
"""What the blocks print, by something that is in them."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the sample where a checkout has it, and some photos."""
    (tmp_path / "service" / "samples").mkdir(parents=True)
    shutil.copy(SAMPLE_PICTURE, tmp_path / "service" / "samples")
    (tmp_path / "photos").mkdir()
    for name in ("one.jpg", "two.jpg"):
        (tmp_path / "photos" / name).write_bytes(pictures.encoded(pictures.photo(90, 70), "JPEG"))
    return tmp_path


@pytest.mark.parametrize("word", SHOWN)
def test_the_code_runs(server: Server, folder: Path, word: str) -> None:
    (code,) = (block for block in PAGE.blocks("python") if word in block)
    shown = run_python(code.replace(ADDRESS, server.url), folder)
    for part in SHOWN[word]:
        assert part in shown
    if word == "overlay(":
        with Image.open(folder / "overlay.png") as overlay:
            assert (overlay.format, overlay.size) == ("PNG", (768, 576))


def test_no_code_is_left_out() -> None:
    assert len(PAGE.blocks("python")) == len(SHOWN)
