"""The command as its user runs it: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.predict.journal import NAME
from tests.e2e.conftest import FAST
from tests.service.models import SOON

COMMAND = (sys.executable, "-m", "service.predict")


def predict(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run to the end, on small buckets."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments), *FAST],
        capture_output=True,
        text=True,
        timeout=SOON,
        env={**os.environ, **variables},
    )


@contextmanager
def predicting(*arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """A run that a test interrupts; killed at the end."""
    with subprocess.Popen(
        [*COMMAND, *map(str, arguments), *FAST],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def done(out: Path) -> int:
    """Pictures that the journal says are done."""
    journal = out / NAME
    return max(0, journal.read_bytes().count(b"\n") - 1) if journal.exists() else 0


def wait_for(out: Path, count: int) -> None:
    """Until so many are done."""
    deadline = time.monotonic() + SOON
    while done(out) < count:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def files(out: Path) -> set[str]:
    """All files below a folder."""
    return {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
