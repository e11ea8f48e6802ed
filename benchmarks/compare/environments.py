"""An environment for each of the other servers, since their packages exclude each other."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.compare.rivals import FOLDER, RIVALS, ROOT, Rival

SHARED = ("isal", "numpy", "onnxruntime", "pillow")
"""What the work of a request depends on, of the same versions everywhere."""


def set_up(names: Sequence[str], say: Callable[[str], None]) -> None:
    """Make an environment under `.rivals` for each server of these names that needs one.

    Raises:
        subprocess.CalledProcessError: pip cannot install it.
    """
    for name in names:
        rival = RIVALS[name]
        if rival.own:
            continue
        say(f"installing {', '.join(rival.pins)} into {FOLDER.name}/{name}")
        _install(rival)


def _install(rival: Rival) -> None:
    folder = FOLDER / rival.name
    venv.create(folder, with_pip=True, clear=True)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.write("\n".join(shared_versions(ROOT / "constraints.txt")))
        constraints.flush()
        _pip(rival, "-c", constraints.name, *rival.pins, "-e", f"{ROOT}[cpu]")
    if rival.overrides:
        _pip(rival, "--no-deps", *rival.overrides)


def _pip(rival: Rival, *arguments: str) -> None:
    command = (str(rival.python), "-m", "pip", "--disable-pip-version-check", "install", "-q")
    subprocess.run([*command, *arguments], check=True, stdout=sys.stderr)  # noqa: S603 - our own


def shared_versions(constraints: Path) -> list[str]:
    """The lines of a file of constraints that concern the work of a request."""
    lines = constraints.read_text().splitlines()
    return [line for line in lines if line.partition("==")[0].lower() in SHARED]
