"""`deeplab-predict --ray` as its user runs it, and what is to be seen of it from outside."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.predict.runs import COMMAND

SOON = 600.0
"""Only what hangs takes so long: a start of Ray's takes minutes where much else runs."""
TINY = ("--buckets", "33x33", "--sessions", "1", "--threads", "1", "--max-batch", "1")
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
"""Without which the nodes answer no run; Ray would leave one of its own in the home folder."""
WORKER = b"ray::MapWorker"


@dataclass
class Nodes:
    """A cluster that starts meanwhile, or runs."""

    process: subprocess.Popen[str]
    log: Path

    @cached_property
    def address(self) -> str:
        """Waits until it is known."""
        assert self.process.stdout
        said = next((line for line in self.process.stdout if line.startswith("address ")), "")
        assert said, f"the cluster did not start: {self.log.read_text()[-2000:]}"
        return said.split()[1]

    def workers(self) -> set[int]:
        """Processes that have an engine."""
        return {pid for pid in descendants(self.process.pid) if command_of(pid).startswith(WORKER)}


@contextmanager
def two_nodes(log: Path) -> Iterator[Nodes]:
    script = Path(__file__).with_name("bulk_nodes.py")
    with (
        log.open("w") as file,
        subprocess.Popen(
            [sys.executable, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            env={**os.environ, **CREDENTIALS, **TOKEN, "RAY_USAGE_STATS_ENABLED": "0"},
        ) as process,
    ):
        assert process.stdin
        try:
            yield Nodes(process, log)
        finally:
            started = descendants(process.pid)
            process.stdin.close()
            process.wait(SOON)
            for pid in started:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def descendants(pid: int) -> set[int]:
    """Processes below a process."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        children.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    found: set[int] = set()
    new = children.get(pid, [])
    while new:
        found |= {*new}
        new = [grandchild for child in new for grandchild in children.get(child, [])]
    return found


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@contextmanager
def running_on_ray(*arguments: str | Path, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """A run on tiny buckets; killed at the end, if it has not ended."""
    with subprocess.Popen(
        [*COMMAND, *map(str, arguments), *TINY],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **TOKEN, **variables},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@dataclass
class Ended:
    code: int
    said: str
    errors: str


def run_on_ray(*arguments: str | Path, **variables: str) -> Ended:
    """A run to its end."""
    with running_on_ray(*arguments, **variables) as process:
        said, errors = process.communicate(timeout=SOON)
        return Ended(process.returncode, said, errors)


def part_files(out: Path) -> list[Path]:
    """The parts of a manifest in a folder."""
    return sorted((out / "manifest").glob("part-*.jsonl"))


def parts(out: Path) -> list[list[dict[str, Any]]]:
    """What they say."""
    return [
        [json.loads(line) for line in path.read_text().splitlines()] for path in part_files(out)
    ]


def wait_until(true: Callable[[], bool], run: subprocess.Popen[str] | None = None) -> None:
    """Wait; a run that ends before that fails with what it said."""
    deadline = time.monotonic() + SOON
    while not true():
        assert run is None or run.poll() is None, run.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
