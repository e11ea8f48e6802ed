"""docs/bulk.md: its commands and its code run as they stand there, on a Ray of their own."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from service.predict.command import parser
from tests.cluster.bulk_runs import SOON, command_of, descendants, running_on_ray, wait_until
from tests.e2e.test_docs import run_python
from tests.pages import Page
from tests.service import pictures

pytestmark = pytest.mark.xdist_group("bulk")
PAGE = Page("docs/bulk.md")


def test_the_first_command_starts_ray_for_itself_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for index in range(2):
        picture = pictures.encoded(pictures.photo(90, 70, index), "JPEG")
        (tmp_path / "photos" / f"{index}.jpg").write_bytes(picture)
    first, _ = PAGE.commands("deeplab-predict")
    with running_on_ray(*shlex.split(first)[1:]) as process:
        wait_until(lambda: process.poll() is not None or bool(raylets(process.pid)))
        started = descendants(process.pid)
        raylet = min(raylets(process.pid))
        variables = Path(f"/proc/{raylet}/environ").read_bytes().split(b"\0")
        said, errors = process.communicate(timeout=SOON)
    assert said == "deeplab-predict: 2 of 2 pictures are in masks\n", errors
    assert "died" not in errors
    assert b"RAY_USAGE_STATS_ENABLED=0" in variables
    assert run_python(PAGE.blocks("python")[0], tmp_path) == (
        "0.jpg masks/0.png\n1.jpg masks/1.png\n"
    )
    wait_until(lambda: not any(command_of(pid) for pid in started))


def raylets(pid: int) -> list[int]:
    """Processes of Ray's nodes below a process."""
    return [own for own in descendants(pid) if b"/raylet\0" in command_of(own)]


def test_flags_are_those_of_the_command() -> None:
    text = parser().format_help()
    named = re.findall(r"`(--[a-z-]+)", PAGE.text)
    assert len(named) >= 5
    assert all(flag in text for flag in named)
