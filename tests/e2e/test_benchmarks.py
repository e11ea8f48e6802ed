"""The benchmarks run; what they measure is for their readers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(*arguments: str, module: str = "run") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_a_part_prints_what_it_measured() -> None:
    done = run("--quick", "imitation")
    assert done.returncode == 0, done.stderr
    rates = re.findall(r"concurrency (\d+): (\d+) requests/s, ([\d.]+) CPU ms", done.stdout)
    assert [concurrency for concurrency, _, _ in rates] == ["8", "32"]
    assert all(int(rate) > 0 and float(cpu) > 0 for _, rate, cpu in rates)


def test_an_unknown_part_is_named() -> None:
    done = run("everything")
    assert done.returncode == 2
    assert "there is no part everything; there are throughput, shape" in done.stderr


def test_the_comparison_measures_a_server_that_needs_no_setup(tmp_path: Path) -> None:
    out = tmp_path / "compare.json"
    done = run(
        *("fastapi", "--part", "imitation", "--seconds", "0.3", "--turns", "1"),
        *("--out", str(out)),
        module="compare",
    )
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(out.read_text())["parts"]["imitation"]["fastapi"]
    assert row["rate"] > 0
    assert row["cpu_ms"] > 0
    assert row["failed"] == 0
    assert re.search(r"\| deeplab-serve \| \d+ \| [\d.]+ \| \d+ \|", done.stdout)
    assert re.search(r"\| FastAPI by hand \| \d+, [\d.]+ \|", done.stdout)


def test_an_unknown_server_is_named() -> None:
    done = run("torchserve", module="compare")
    assert done.returncode == 2
    assert "there is no server torchserve; there are deeplab-serve, fastapi" in done.stderr
