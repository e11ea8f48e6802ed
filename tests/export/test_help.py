"""Every command says what it does, with an example that it would take."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from export.cli import COMMANDS
from export.cli import main as cli
from export.commands.examples import EXAMPLES
from tests.pages import ROOT


def test_every_command_has_an_example() -> None:
    assert {name.split()[0] for name in EXAMPLES} == set(COMMANDS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_help_shows_an_example_with_flags_that_exist(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr("sys.argv", ["deeplab", *name.split(), "--help"])
    with pytest.raises(SystemExit) as stopped:
        cli()
    assert not stopped.value.code
    shown = capsys.readouterr().out
    assert f"example: deeplab {name} {EXAMPLES[name]}" in shown
    options = shown.partition("options")[2]
    for flag in re.findall(r"--[a-z-]+", " ".join(shlex.split(EXAMPLES[name]))):
        assert re.search(rf"{flag}\b", options), flag


def test_a_log_holds_lines_and_no_bars(shapes: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "export.cli", "data", "check", str(shapes)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert b"\r" not in done.stderr
    lines = done.stderr.decode().splitlines()
    assert any(re.match(r"checking data: 8/8 \[", line) for line in lines), lines
    assert b"8 labelled pictures" in done.stdout
