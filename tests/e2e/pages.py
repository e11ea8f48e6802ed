"""The commands that a page of the documentation shows."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def read_page(name: str) -> str:
    """A page by its path below the root."""
    return (ROOT / name).read_text(encoding="utf-8")


def shell_lines(page: str) -> list[str]:
    """The commands of a page's shell blocks, continued lines joined, comments cut."""
    blocks = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    joined = "\n".join(blocks).replace("\\\n", " ")
    return [line for raw in joined.splitlines() if (line := raw.split("  #")[0].strip())]


def commands(page: str, program: str) -> list[str]:
    """Those of them that begin with a program's name; there are some."""
    found = [line for line in shell_lines(page) if line.split()[0] == program]
    assert found, f"the page has no {program} command"
    return found


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
