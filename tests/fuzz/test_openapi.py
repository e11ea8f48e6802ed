"""The API document against the server: every answer is one that it promises."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import Server
from tests.fuzz import budget

pytestmark = pytest.mark.xdist_group("server")

SCHEMATHESIS = str(Path(sys.executable).with_name("st"))
CONFIGURATION = str(Path(__file__).with_name("schemathesis.toml"))
OPERATIONS = 8


@pytest.mark.timeout(budget.PATIENCE)
def test_every_answer_is_as_documented(server: Server, tmp_path: Path) -> None:
    seed = int(time.time()) if budget.LONG else 1
    examples = budget.LONG // OPERATIONS or 20
    done = subprocess.run(
        [SCHEMATHESIS, "--config-file", CONFIGURATION, "run", f"{server.url}/openapi.json",
         "--max-examples", str(examples), "--seed", str(seed), "--no-color"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    tried = re.search(r"(\d+) generated", done.stdout)
    assert tried and int(tried[1]) > examples, done.stdout
    print(f"openapi: {tried[1]} requests, seed {seed}")  # noqa: T201
    assert "Traceback" not in "".join(server.output)
