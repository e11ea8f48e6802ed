"""The documentation: links that lead somewhere, examples that run."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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
    page = Page("docs/start.md")
    sample = Path("service/samples/street.jpg")
    (tmp_path / sample.parent).mkdir(parents=True)
    shutil.copy(ROOT / sample, tmp_path / sample)
    for line in page.commands("curl"):
        arguments = [*shlex.split(line.replace(ADDRESS, server.url)), "--fail", "--silent"]
        subprocess.run(arguments, cwd=tmp_path, check=True, timeout=60)
        made = tmp_path / arguments[arguments.index("-o") + 1]
        assert made.stat().st_size > 1000
    (code,) = page.blocks("python")
    shown = run_python(code.replace(ADDRESS, server.url), tmp_path)
    assert "Building: " in shown
    assert "Road: " in shown


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
