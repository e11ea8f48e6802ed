"""The benchmarks run; what they measure is for their readers."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("server")

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.run", "--quick", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_a_part_prints_what_it_measured() -> None:
    done = run("imitation", "large")
    assert done.returncode == 0, done.stderr
    rates = re.findall(r"concurrency (\d+): (\d+) requests/s, ([\d.]+) CPU ms", done.stdout)
    assert [concurrency for concurrency, _, _ in rates] == ["8", "32"]
    assert all(int(rate) > 0 and float(cpu) > 0 for _, rate, cpu in rates)
    assert "ms beyond the model: read" in done.stdout


def test_an_unknown_part_is_named() -> None:
    done = run("everything")
    assert done.returncode == 2
    assert "there is no part everything; there are throughput, shape" in done.stderr
