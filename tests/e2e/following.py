"""Running what a page of the documentation tells its reader to run."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

from tests.export.command import deeplab
from tests.pages import ROOT, Page

FEW_STEPS = ("--steps", "2", "--batch-size", "2", "--crop", "49", "65", "--warmup-steps", "0")
"""What keeps `deeplab train` short."""


def run_line(line: str, folder: Path, *more: str) -> str:
    """Run a command in a folder, with more arguments; what it printed."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [*shlex.split(line), *more],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_curl(line: str, folder: Path, url: str) -> str:
    """Run a curl command against a running server in place of the page's."""
    here = line.replace("http://127.0.0.1:8000", url)
    return run_line(here, folder, "--fail", "--silent", "--show-error")


def run_command(line: str, folder: Path, *more: str) -> str:
    """Run a `deeplab` command as `run_line` does, but here, where PyTorch is imported already."""
    _, *arguments = shlex.split(line)
    with chdir(folder):
        done = deeplab(*arguments, *more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_deeplab(page: Page, folder: Path) -> list[str]:
    """Run a page's `deeplab` commands, training for a few steps only; their actions."""
    lines = page.commands("deeplab")
    for line in lines:
        here = line.replace("export/recipes", str(ROOT / "export" / "recipes"))
        run_command(here, folder, *(FEW_STEPS if line.split()[1] == "train" else ()))
    return [line.split()[1] for line in lines]
