"""docs/predict.md: its commands and its code run as they stand there."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from service.predict.command import parser
from service.predict.outputs import KINDS
from tests.e2e.test_docs import run_python
from tests.pages import ROOT, Page
from tests.predict.films import moving, write_film
from tests.predict.runs import COMMAND
from tests.service import pictures
from tests.service.models import SOON

PAGE = Page("docs/predict.md")
COMMANDS = PAGE.commands("deeplab-predict")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the page's commands have been run, one after the other."""
    root = tmp_path_factory.mktemp("page")
    (root / "photos").mkdir()
    for index in range(2):
        picture = pictures.encoded(pictures.photo(90, 70, index), "JPEG")
        (root / "photos" / f"{index}.jpg").write_bytes(picture)
    write_film(root / "film.mp4", [moving(index) for index in range(3)])
    for line in COMMANDS:
        ended = subprocess.run(
            [*COMMAND, *shlex.split(line)[1:]],
            cwd=root,
            env={"PYTHONPATH": str(ROOT), "PATH": ""},
            capture_output=True,
            text=True,
            timeout=SOON,
        )
        assert ended.returncode == 0, ended.stderr
    return root


def test_the_commands_write_what_it_says(folder: Path) -> None:
    made = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {
        "masks/masks/0.png",
        "masks/overlays/1.jpg",
        "answers/coco.json",
        "answers/segments/0.json",
        "frames/masks/00000000.png",
        "roads/cutouts/1.png",
        "frames/overlay.mp4",
        "frames/frames.json",
    } <= made


def test_the_code_runs(folder: Path) -> None:
    coco, bulk = PAGE.blocks("python")
    assert "0.jpg ['" in run_python(coco, folder)
    assert "photos/1.jpg (70, 90) " in run_python(bulk, folder)


def test_kinds_and_flags_are_those_of_the_command() -> None:
    written = PAGE.text.partition("## What is written")[2].partition("## Stopped")[0]
    for kind in KINDS:
        assert f"| `{kind}` | " in written
    text = parser().format_help()
    named = re.findall(r"`(--[a-z-]+)", PAGE.text)
    assert len(named) >= 20
    assert all(flag in text for flag in named)
