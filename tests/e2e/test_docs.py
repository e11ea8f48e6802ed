"""The documentation: links that lead somewhere, examples that run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.e2e.conftest import Server
from tests.pages import ROOT, Page

pytestmark = pytest.mark.xdist_group("server")

PAGES = sorted(
    str(path.relative_to(ROOT))
    for folder in (ROOT, ROOT / "docs", ROOT / "benchmarks")
    for path in folder.glob("*.md")
)
ADDRESS = "http://127.0.0.1:8000"


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    page = Page(name)
    for link in page.links():
        target, _, anchor = link.partition("#")
        path = (page.path.parent / target).resolve() if target else page.path
        assert path.exists(), link
        if anchor:
            assert anchor in Page(str(path.relative_to(ROOT))).anchors(), link


def test_every_page_is_in_the_table_of_contents() -> None:
    contents = set(Page("docs/README.md").links())
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages <= contents


def test_the_first_five_minutes(server: Server, tmp_path: Path) -> None:
    shown = follow(Page("docs/start.md"), server, tmp_path)
    assert "Building: " in shown
    assert "Road: " in shown


def test_the_api_by_example(server: Server, tmp_path: Path) -> None:
    page = Page("docs/api.md")
    shown = follow(page, server, tmp_path).splitlines()
    assert shown[:3] == ["(576, 768) True", "(513, 385)", "WEBP (768, 576)"]
    assert any(re.fullmatch(r"Road: \d+\.\d%, 0\.\d\d sure", line) for line in shown)
    assert shown[-2] == "Road True"
    red, green, blue = map(int, shown[-1].strip("()").split(","))
    assert max(abs(red - 0x20), abs(green - 0xA0), abs(blue - 0xFF)) < 12, "WebP loses a little"
    pictures = [link for link in page.links() if link.startswith("images/")]
    assert len(pictures) == 5
    for link in pictures:
        made = pixels(tmp_path / link.removeprefix("images/api-"))
        assert np.abs(made - pixels(ROOT / "docs" / link)).mean() < 1, link


def pixels(path: Path) -> NDArray[np.int64]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGBA")).astype(np.int64)


def follow(page: Page, server: Server, folder: Path) -> str:
    """Run a page's curl commands and its Python code in a folder; what the code prints."""
    sample = Path("service/samples/street.jpg")
    (folder / sample.parent).mkdir(parents=True)
    shutil.copy(ROOT / sample, folder / sample)
    for line in page.commands("curl"):
        arguments = [*shlex.split(line.replace(ADDRESS, server.url)), "--fail", "--silent"]
        subprocess.run(arguments, cwd=folder, check=True, timeout=60)
        made = folder / arguments[arguments.index("-o") + 1]
        assert made.stat().st_size > 1000
    code = "\n".join(page.blocks("python"))
    return run_python(code.replace(ADDRESS, server.url), folder)


def run_python(code: str, folder: Path) -> str:
    """What a page's code prints, run as a program in a folder of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
